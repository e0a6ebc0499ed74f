/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guard keeps the program standing although CRIU dies. It is a frozen child group of the
 * program's own control group; a machine without any freezer gets a pending SIGSTOP instead.
 * The program enters the group before CRIU stops the program. With cgroup v2 it is frozen before CRIU comes, so that
 * all processes stand from one moment on; CRIU thaws it, since it would also freeze the code that CRIU runs in
 * the program, and when CRIU holds the program the group is frozen once more.
 *
 * While the group is frozen, it holds the root and its descendants, and no other process: a process
 * whose parent has ended since the process entered goes back to the program's own group, and runs on.
 */
#ifndef MIGRATE_SOURCE_GUARD_H
#define MIGRATE_SOURCE_GUARD_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "os/cgroup_homes.h"

/**
 * struct guard - filled by guard_plan(), so that the helper and its keeper can each lift the guard
 * @pid: the root of the program
 * @pidfd: of the root
 * @lock_fd: from guard_lock() (source/guard_lock.h), or -1
 * @group: the child group; CGROUP_NONE: the machine has no freezer, SIGSTOP takes its place, and
 *	the program sees SIGCONT when the migration is given up
 * @criu: the group in which CRIU runs, outside of the limits of the program and of this helper;
 *	CGROUP_NONE: this machine cannot make the group
 * @was_stopped: a signal had stopped the root before the migration; the root stays stopped
 * @signalled: SIGSTOP was sent
 */
struct guard {
	pid_t pid;
	int pidfd, lock_fd;
	struct cgroup group, criu;
	bool was_stopped, signalled;
};

/** guard_plan() - fill @guard and do nothing to the program; @id of the migration names the groups */
int guard_plan(struct guard *guard, pid_t pid, bool was_stopped, const char *id,
	       struct error *err);

/**
 * guard_enter() - move the running program into the group; a machine without freezer has no group
 *
 * Fails when a process of the program is in a control group that is neither the root's nor below it.
 */
int guard_enter(struct guard *guard, struct error *err);

/** guard_on() - stop the program: after the return it stays stopped although its tracer dies */
int guard_on(struct guard *guard, struct error *err);

/**
 * guard_off() - undo guard_on(), also one that failed half-way or was never called
 *
 * Any process that has the filled @guard may call this function.
 * Return: 0; -1 with @err when the program does not run again, or is in another control group
 */
int guard_off(struct guard *guard, struct error *err);

/** guard_kill() - kill the program, guarded or not; a tracer keeps dead processes until it detaches */
int guard_kill(struct guard *guard, struct error *err);

/** guard_wait_dead() - wait until all threads of the killed program have ended, 10 s at most */
int guard_wait_dead(struct guard *guard, struct error *err);

/** struct guard_home - the home that was looked at last, if @known: neighbours in the tree often share it */
struct guard_home {
	bool known;
	char sub[CGROUP_SUB_BYTES];
};

/**
 * guard_check_home() - 0: @pid is in the control group of the root or below it, in the guard's group, or has ended
 * Return: -1 with @err: CODE_REFUSED: @pid is in another group, or in a frozen one below the root's, or its threads
 *	are spread; or the group cannot be read
 */
int guard_check_home(const struct guard *guard, pid_t pid, struct error *err);
/** guard_check_homes() - guard_check_home() of one of many processes: a group that is @last is not looked at again */
int guard_check_homes(const struct guard *guard, struct guard_home *last, pid_t pid, struct error *err);

/**
 * guard_wait_end() - true when the root has ended, ends within @timeout_ms, or was killed
 *
 * The v1 freezer keeps a killed process, and thaws none alone: such a root dies by guard_kill(), which
 * kills the rest of the program before the thaw.
 */
bool guard_wait_end(struct guard *guard, int timeout_ms);

/** guard_close() - after guard_plan(), or with both at -1: this process has no descriptor of it any more */
void guard_close(struct guard *guard);

/** guard_forget() - remove both groups after the program or CRIU has ended */
void guard_forget(struct guard *guard);

#endif
