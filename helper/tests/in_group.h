/* SPDX-License-Identifier: GPL-2.0 */
/* What tests ask of the processes in a control group. */
#ifndef MIGRATE_TESTS_IN_GROUP_H
#define MIGRATE_TESTS_IN_GROUP_H

#include <stdlib.h>
#include "os/cgroup_members.h"

/** in_group_count() - how many processes are in the group; a failure ends the test */
static inline size_t in_group_count(const struct cgroup *group)
{
	struct error err = { 0 };
	pid_t *pids;
	size_t nr;

	assert_int_equal(cgroup_pids(group, &pids, &nr, &err), 0);
	free(pids);
	return nr;
}

/** in_group() - process @pid is in the group */
static inline bool in_group(const struct cgroup *group, pid_t pid)
{
	struct error err = { 0 };
	bool found = false;
	pid_t *pids;
	size_t nr;

	assert_int_equal(cgroup_pids(group, &pids, &nr, &err), 0);
	for (size_t i = 0; i < nr; i++)
		found |= pids[i] == pid;
	free(pids);
	return found;
}

#endif
