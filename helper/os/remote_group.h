/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All threads of a frozen control group, held by ptrace (os/remote.h). A group is thawed as a whole: a
 * process that is not held would run then. So the group is thawed only while every thread of every
 * process in the group is held.
 */
#ifndef MIGRATE_OS_REMOTE_GROUP_H
#define MIGRATE_OS_REMOTE_GROUP_H

#include <stdbool.h>
#include "os/cgroup.h"
#include "os/remote.h"

/**
 * struct remote_group - only the thread that filled it may use it
 * @of: one for each process of the group
 * @thawed: the group is thawed, and ptrace alone keeps the processes from running
 */
struct remote_group {
	const struct cgroup *group;
	struct remote *of;
	size_t nr;
	bool thawed;
};

/**
 * remote_group_hold() - hold all threads of the frozen @group
 * @thaw: thaw the group: otherwise no thread can make a system call. A group of cgroup v1 is always
 *	thawed, because its threads do not trap before
 *
 * The kernel kills the processes when the caller ends.
 * Return: 0, or -1 with @err: no thread has run and nothing is held; a group that was thawed is killed
 */
int remote_group_hold(struct remote_group *all, const struct cgroup *group, bool thaw,
		      struct error *err);

/** remote_group_find() - process @pid; NULL with CODE_TARGET when the group does not have it */
struct remote *remote_group_find(const struct remote_group *all, pid_t pid, struct error *err);

/**
 * remote_group_release() - freeze the group again, and let go of the threads
 * Return: 0, or -1 with @err: the group could not be frozen, and is killed
 */
int remote_group_release(struct remote_group *all, struct error *err);

/**
 * remote_group_kill() - kill the group, whose threads are held, and let go of them: none ever runs
 *
 * When the function returns their parents know that the processes have ended.
 */
void remote_group_kill(struct remote_group *all);

#endif
