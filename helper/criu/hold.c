// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include "criu/criu.h"
#include "os/proc.h"

/* CRIU traces every task that it has restored, and nobody traces CRIU. */
static int leave_tasks(const struct cgroup *group, struct error *err)
{
	pid_t *pids;
	size_t nr = cgroup_pids(group, &pids), tasks = 0;
	int ret = 0;

	for (size_t i = 0; i < nr && !ret; i++) {
		struct proc_status status;

		/* a process that has ended meanwhile */
		if (proc_status_read(pids[i], &status, &(struct error){ 0 }))
			continue;
		if (status.tracer)
			tasks++;
		else if (status.state != 'Z' && cgroup_back(group, pids[i]) && errno != ESRCH)
			ret = error_errno(err, CODE_INTERNAL, NULL,
					  "cannot move CRIU (%d) out of control group %s", pids[i],
					  group->dir);
	}
	free(pids);
	if (!ret && !tasks)
		ret = error_set(err, CODE_CRIU, NULL, "no restored task is in control group %s",
				group->dir);
	return ret;
}

int criu_hold_tasks(const struct cgroup *group, struct error *err)
{
	return leave_tasks(group, err) ? -1 : cgroup_freeze(group, err);
}
