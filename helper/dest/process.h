/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One restored task: what the source said of it, what CRIU made of it, and the namespace and control
 * group that it stands in.
 */
#ifndef MIGRATE_DEST_PROCESS_H
#define MIGRATE_DEST_PROCESS_H

#include <stdatomic.h>
#include "criu/criu.h"
#include "dest/attributes.h"
#include "dest/keeper.h"

/**
 * struct process - of the main thread, but for @init_fd
 * @pid: at the source, and in the namespace here
 * @host_pid: as seen here, once the attributes were restored; 0 before
 * @task: as the images have it
 * @attributes: those that CRIU does not restore
 * @group: the task is restored in it, and frozen in it until COMMIT
 * @pending: signals that waited for the program when it was frozen at the source
 * @oom_score_adj: of the program at the source
 * @init_pid: init of the namespace of the task
 * @criu_pid: of the CRIU in it, as seen here
 * @init_fd: pidfd of that, or -1; any thread may poll it
 */
struct process {
	pid_t pid, host_pid;
	struct criu_task task;
	struct attributes attributes;
	struct cgroup group;
	uint64_t pending;
	int oom_score_adj;
	pid_t init_pid, criu_pid;
	atomic_int init_fd;
};

/**
 * process_init() - choose the control group in which the program is restored
 * @id: of the migration
 */
void process_init(struct process *process, const char *id);
void process_destroy(struct process *process);

/** process_take() - what RestoreGo says of the task */
int process_take(struct process *process, const Migrate__RestoreGo *go, struct error *err);

/** process_read_images() - fill @task; -1 with CODE_PEER when the images are of another task than @pid */
int process_read_images(struct process *process, int images_fd, struct error *err);

/**
 * process_spawn() - have @keeper make the namespaces and start CRIU in them: it takes requests
 * @rpc_fd: CRIU's RPC, or -1; owned by the caller, on failure too
 */
int process_spawn(struct process *process, struct keeper *keeper, int *rpc_fd, struct error *err);

/** process_host_pid() - the restored task as seen here; 0 with CODE_CRIU when it is not there */
pid_t process_host_pid(const struct process *process, struct error *err);

/** process_restore_attributes() - set what CRIU has not restored, and tell the source */
int process_restore_attributes(struct process *process, struct control *ctl, struct error *err);

/** process_check() - CRIU has ended and the tasks stand frozen. Return: 0 when they can be started */
int process_check(const struct process *process, struct error *err);

/** process_lives() - the task is there and has memory; one that is about to end has none */
bool process_lives(const struct process *process);

/**
 * process_has_ended() - the init, which knows how its task ended, has ended, and all others with it
 * @timeout_ms: so long it is waited for
 */
bool process_has_ended(const struct process *process, int timeout_ms);

#endif
