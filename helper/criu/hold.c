// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "criu/criu.h"
#include "os/cgroup_homes.h"
#include "os/cgroup_members.h"
#include "os/proc.h"

/* Move CRIU out of the group: CRIU is what is untraced there, since CRIU traces every task. */
static int leave_tasks(const struct cgroup *group, struct error *err)
{
	pid_t *pids;
	size_t nr, tasks = 0;
	int ret = 0;

	if (cgroup_pids(group, &pids, &nr, err))
		return -1;
	for (size_t i = 0; i < nr && !ret; i++) {
		struct proc_status status;

		/* the process has ended meanwhile */
		if (proc_status_alone(pids[i], &status, &(struct error){ 0 }))
			continue;
		if (status.tracer)
			tasks++;
		else if (status.state != 'Z' && cgroup_homes_back(group, pids[i]) && errno != ESRCH)
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

/* Only the first task can have, in its namespace, the pid that it had at the source. */
static bool root_is_born(const struct criu_leave *leave)
{
	struct error ignored = { 0 };
	bool born = false;
	pid_t *pids;
	size_t nr;

	/* the next look comes soon */
	if (cgroup_pids(leave->group, &pids, &nr, &ignored))
		return false;
	for (size_t i = 0; i < nr && !born; i++) {
		struct proc_status status;

		born = pids[i] != leave->criu &&
		       !proc_status_alone(pids[i], &status, &(struct error){ 0 }) &&
		       status.ns_pid == leave->root;
	}
	free(pids);
	return born;
}

static void *leave_body(void *arg)
{
	struct timespec tick = { .tv_nsec = 500000 };
	struct criu_leave *leave = arg;

	while (!atomic_load(&leave->stop)) {
		if (root_is_born(leave)) {
			cgroup_homes_back(leave->group, leave->criu);
			break;
		}
		nanosleep(&tick, NULL);
	}
	return NULL;
}

void criu_leave_start(struct criu_leave *leave)
{
	atomic_store(&leave->stop, false);
	leave->runs = leave->criu && !pthread_create(&leave->thread, NULL, leave_body, leave);
}

void criu_leave_end(struct criu_leave *leave)
{
	if (!leave->runs)
		return;
	leave->runs = false;
	atomic_store(&leave->stop, true);
	pthread_join(leave->thread, NULL);
}

int criu_hold_tasks(const struct cgroup *group, struct error *err)
{
	return leave_tasks(group, err) ? -1 : cgroup_freeze(group, err);
}
