// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include "base/spread.h"
#include "criu/criu.h"
#include "os/cgroup_homes.h"
#include "os/cgroup_members.h"
#include "os/proc.h"

/** struct leaving - of the processes @pids of a group; @tasks: those that are traced */
struct leaving {
	const struct cgroup *group;
	pid_t *pids;
	atomic_size_t tasks;
};

/* In any thread. */
static int leave_one(void *ctx, size_t at, struct error *err)
{
	struct leaving *leaving = ctx;
	pid_t pid = leaving->pids[at];
	struct proc_status status;

	/* the process has ended meanwhile */
	if (proc_status_alone(pid, &status, &(struct error){ 0 }))
		return 0;
	if (status.tracer)
		atomic_fetch_add(&leaving->tasks, 1);
	else if (status.state != 'Z' && cgroup_homes_back(leaving->group, pid) && errno != ESRCH)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot move CRIU (%d) out of control group %s",
				   pid, leaving->group->dir);
	return 0;
}

/* Move CRIU out of the group: CRIU is what is untraced there, since CRIU traces every task. */
static int leave_tasks(const struct cgroup *group, struct error *err)
{
	struct leaving leaving = { .group = group };
	size_t nr;
	int ret;

	if (cgroup_pids(group, &leaving.pids, &nr, err))
		return -1;
	ret = spread_run(nr, leave_one, &leaving, err);
	free(leaving.pids);
	if (!ret && !atomic_load(&leaving.tasks))
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
