/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One restored task: its description by the source, its restored processes, and its namespaces and
 * control group.
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

/** process_take() - copy the task's fields of RestoreGo */
int process_take(struct process *process, const Migrate__RestoreGo *go, struct error *err);

/** process_read_images() - fill @task; -1 with CODE_PEER when the images are not of task @pid */
int process_read_images(struct process *process, int images_fd, struct error *err);

/**
 * process_spawn() - have @keeper make the namespaces and start CRIU, and wait until CRIU is ready
 * @rpc_fd: set to CRIU's RPC socket, or -1; the caller owns it, also after a failure
 */
int process_spawn(struct process *process, struct keeper *keeper, int *rpc_fd, struct error *err);

/** process_host_pid() - pid of the restored task in the caller's namespace; 0 with CODE_CRIU */
pid_t process_host_pid(const struct process *process, struct error *err);

/** process_restore_attributes() - set the attributes that CRIU has not restored; tell the source */
int process_restore_attributes(struct process *process, struct control *ctl, struct error *err);

/** process_check() - see whether the frozen tasks can be started, after CRIU's end; 0 or -1 */
int process_check(const struct process *process, struct error *err);

/** process_lives() - the task exists and has memory, which an ending task has not */
bool process_lives(const struct process *process);

/**
 * process_has_ended() - the init, whose status says how its task ended, has ended with all others
 * @timeout_ms: longest wait
 */
bool process_has_ended(const struct process *process, int timeout_ms);

#endif
