/* SPDX-License-Identifier: GPL-2.0 */
/* A control group of the v1 freezer, on a machine that has cgroup v2 too: cgroup_plan() takes v2 then. */
#ifndef MIGRATE_TESTS_V1_GROUP_H
#define MIGRATE_TESTS_V1_GROUP_H

#include <stdio.h>
#include <string.h>
#include "os/cgroup.h"

/** v1_group_plan() - as cgroup_plan() with CGROUP_BELOW; false: the machine has no v1 freezer */
static inline bool v1_group_plan(struct cgroup *group, pid_t pid, const char *name)
{
	char point[PATH_MAX];

	memset(group, 0, sizeof(*group));
	if (cgroup_line(pid, CGROUP_V1, group->line, sizeof(group->line)) ||
	    cgroup_dir(pid, CGROUP_V1, group->home, sizeof(group->home), point, sizeof(point)))
		return false;
	group->kind = CGROUP_V1;
	snprintf(group->dir, sizeof(group->dir), "%s/%s", group->home, name);
	return true;
}

#endif
