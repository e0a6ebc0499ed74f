/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What keeps the program standing although CRIU dies: a frozen child group of its
 * own cgroup (v2), or a pending SIGSTOP where there is none. Put on only when CRIU
 * holds the program: CRIU's code in it could not run otherwise.
 */
#ifndef MIGRATE_SOURCE_GUARD_H
#define MIGRATE_SOURCE_GUARD_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include "ui/error.h"

/**
 * struct guard - filled by guard_plan(), so that helper and keeper can each lift it
 * @home: directory of the task's group; empty: no cgroup v2
 * @group: directory of the child group
 * @line: /proc/PID/cgroup as it was
 * @was_stopped: it stood by a signal before we came, and shall afterwards
 * @signalled: a pending SIGSTOP is used
 */
struct guard {
	pid_t pid;
	int pidfd;
	char home[PATH_MAX];
	char group[PATH_MAX + 64];
	char line[PATH_MAX];
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

/** guard_forget() - remove the group of a task that is dead */
void guard_forget(struct guard *guard);

/** guard_cgroup_mount() - where cgroup v2 is mounted, with the root of that mount; -1 */
int guard_cgroup_mount(char *point, size_t point_size, char *root, size_t root_size);

#endif
