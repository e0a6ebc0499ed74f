/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guard keeps the program standing although CRIU dies. It is a frozen child group of the
 * program's own control group; a machine without any freezer gets a pending SIGSTOP instead.
 * It is put on only when CRIU holds the program: CRIU's code in it could not run otherwise.
 */
#ifndef MIGRATE_SOURCE_GUARD_H
#define MIGRATE_SOURCE_GUARD_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "os/cgroup.h"

/**
 * struct guard - filled by guard_plan(), so that helper and keeper can each lift it
 * @group: the child group; CGROUP_NONE: a signal has to do, and the program sees SIGCONT when
 *	the migration is given up
 * @criu: the group in which CRIU runs, outside of the limits of the program and of this helper;
 *	CGROUP_NONE: it cannot be had
 * @was_stopped: it stood by a signal before we came, and shall afterwards
 * @signalled: a pending SIGSTOP is used
 */
struct guard {
	pid_t pid;
	int pidfd;
	struct cgroup group, criu;
	bool was_stopped, signalled;
};

/** guard_plan() - nothing is done to the task yet; @id names the group */
int guard_plan(struct guard *guard, pid_t pid, bool was_stopped, const char *id,
	       struct error *err);

/** guard_on() - returns when the task cannot run any more, whoever lets it go */
int guard_on(struct guard *guard, struct error *err);

/**
 * guard_off() - undo guard_on(), or as much of it as was done; nothing if nothing was
 *
 * Can be called in any process that has the plan. -1 when the task is not as it was.
 */
int guard_off(struct guard *guard, struct error *err);

/** guard_kill() - kill the task, guarded or not; it lingers while somebody traces it */
int guard_kill(struct guard *guard, struct error *err);

/** guard_wait_dead() - until all threads of the killed task are gone; 10 s at most */
int guard_wait_dead(struct guard *guard, struct error *err);

/**
 * guard_wait_end() - has the task ended, or does it end within @timeout_ms
 *
 * A killed task that the v1 freezer keeps is thawed, so that it can die: to be called again and
 * again.
 */
bool guard_wait_end(struct guard *guard, int timeout_ms);

/** guard_forget() - remove what groups are left when the task or CRIU has ended */
void guard_forget(struct guard *guard);

#endif
