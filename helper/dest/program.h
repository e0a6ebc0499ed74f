/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The restored program: its processes, and what they stand in: a PID namespace with an init of ours,
 * and a control group, in which they are frozen until COMMIT.
 */
#ifndef MIGRATE_DEST_PROGRAM_H
#define MIGRATE_DEST_PROGRAM_H

#include <stdatomic.h>
#include "dest/budget.h"
#include "dest/keeper.h"
#include "dest/opened.h"
#include "dest/process.h"

/**
 * struct program - of the main thread, but for @init_fd
 * @root: pid of the first process in its own namespace, at the source and here
 * @processes: from program_take() on; pointers, so that a process stays where it is
 * @group: the processes are restored in it, and frozen in it until COMMIT
 * @own_cgroup_ns: it had a cgroup namespace, and gets one that begins with the group of serve
 * @pid_ns: inode of the PID namespace of the processes, once they were looked for in the group; 0: it is not there
 * @init_pid: init of the namespace, or of the one above it
 * @criu_pid: of the CRIU in it, as seen here
 * @init_fd: pidfd of the init, or -1; any thread may poll it
 */
struct program {
	pid_t root;
	struct process **processes;
	size_t nr;
	struct cgroup group;
	bool own_cgroup_ns;
	ino_t pid_ns;
	pid_t init_pid, criu_pid;
	atomic_int init_fd;
};

/**
 * program_init() - choose the control group in which the program is restored
 * @id: of the migration
 */
void program_init(struct program *program, const char *id);
void program_destroy(struct program *program);

/**
 * program_take() - what RestoreGo says of the processes; the root is among them
 * @max: number of the address spaces that were announced, of which each has a process
 */
int program_take(struct program *program, const Migrate__RestoreGo *go, size_t max,
		 struct error *err);

/**
 * program_read_images() - -1 with CODE_PEER when the images have other processes than RestoreGo
 * @budget: pays for their mappings
 */
int program_read_images(struct program *program, int images_fd, struct budget *budget,
			struct error *err);

/**
 * program_spawn() - have @keeper make the namespaces and start CRIU in them: it takes requests
 * @rpc_fd: CRIU's RPC, or -1; owned by the caller, on failure too
 */
int program_spawn(struct program *program, struct keeper *keeper, int *rpc_fd, struct error *err);

/** program_root_pid() - the root as seen here, once the attributes were restored; 0 before */
pid_t program_root_pid(const struct program *program);

/** program_restore_attributes() - set what CRIU has not restored, and tell the source */
int program_restore_attributes(struct program *program, struct control *ctl, struct error *err);

/** program_check() - CRIU has ended and all stand frozen. Return: 0 when they can be started */
int program_check(struct program *program, struct error *err);

/** program_check_files() - after program_check(): no user of this machine has put another file in the place of one */
int program_check_files(const struct program *program, struct opened *opened, struct error *err);

/** program_root_lives() - the root is there and has memory; one that is about to end has none */
bool program_root_lives(const struct program *program);
/** program_others_live() - a process is there that has memory, and is neither the init nor the root */
bool program_others_live(const struct program *program);

/** program_kill() - kill the process that is @pid at the source, if it is still there */
void program_kill(const struct program *program, pid_t pid);

/**
 * program_has_ended() - the init, which knows how the root ended, has ended, and all others with it
 * @timeout_ms: so long it is waited for
 */
bool program_has_ended(const struct program *program, int timeout_ms);

#endif
