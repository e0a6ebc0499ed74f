/* SPDX-License-Identifier: GPL-2.0 */
/* The processes in a control group and in those below it. A list that cannot be read whole is an error, never a short list. */
#ifndef MIGRATE_OS_CGROUP_MEMBERS_H
#define MIGRATE_OS_CGROUP_MEMBERS_H

#include "os/cgroup.h"

/**
 * cgroup_pids() - list the processes of the group
 * @pids: filled, free() it; NULL when the list is empty
 * Return: 0, also for a group that does not exist, which has no processes; -1 with @err
 */
int cgroup_pids(const struct cgroup *group, pid_t **pids, size_t *nr, struct error *err);

/** cgroup_is_empty() - no thread is in the group; true also when there is no group; false: or it cannot be read */
bool cgroup_is_empty(const struct cgroup *group);

/** typedef cgroup_leave_fn - move process @pid out of the group; -1 with errno */
typedef int (*cgroup_leave_fn)(const struct cgroup *group, pid_t pid);

/** cgroup_empty() - move all processes out of the group by @leave; -1 with errno when one cannot be moved */
int cgroup_empty(const struct cgroup *group, cgroup_leave_fn leave);

/**
 * cgroup_kill() - send SIGKILL to every process of the group, frozen or not
 *
 * The v1 freezer keeps a killed process. So the function thaws the group after all signals are
 * pending: the processes die before they run an instruction.
 * Return: 0; -1 with @err, and the group is not thawed: not each process could be killed
 */
int cgroup_kill(const struct cgroup *group, struct error *err);

#endif
