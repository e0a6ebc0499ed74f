// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "os/pending.h"
#include "os/proc.h"
#include "source/guard.h"

#define KILL_TIMEOUT_MS		10000
#define REMOVE_TIMEOUT_MS	1000
#define CRIU_TIMEOUT_MS		30000	/* CRIU takes its code out of the program, and ends */

int guard_plan(struct guard *guard, pid_t pid, bool was_stopped, const char *id,
	       struct error *err)
{
	char name[NAME_MAX];

	memset(guard, 0, sizeof(*guard));
	guard->pid = pid;
	guard->was_stopped = was_stopped;
	guard->pidfd = proc_pidfd(pid, err);
	if (guard->pidfd < 0)
		return -1;
	snprintf(name, sizeof(name), "migrate-helper-%s", id);
	cgroup_plan(&guard->group, pid, CGROUP_BELOW, name);
	snprintf(name, sizeof(name), "migrate-helper-%s-criu", id);
	cgroup_plan(&guard->criu, 0, CGROUP_TOP, name);
	return 0;
}

static int send_signal(const struct guard *guard, int sig)
{
	return syscall(SYS_pidfd_send_signal, guard->pidfd, sig, NULL, 0);
}

static int stop_by_signal(struct guard *guard, struct error *err)
{
	guard->signalled = true;
	if (send_signal(guard, SIGSTOP))
		return error_errno(err, CODE_TARGET, NULL, "cannot stop process %d", guard->pid);
	return 0;
}

int guard_enter(struct guard *guard, struct error *err)
{
	/* on a machine without freezer guard_on() sends SIGSTOP */
	if (cgroup_make(&guard->group, &(struct error){ 0 }) ||
	    cgroup_has(&guard->group, guard->pid))
		return 0;
	/* the kernel gives a pid to no other task while the first one lives */
	if (send_signal(guard, 0))
		return error_errno(err, CODE_TARGET, NULL, "process %d has exited", guard->pid);
	if (cgroup_add(&guard->group, guard->pid))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot move process %d to group %s",
				   guard->pid, guard->group.dir);
	return 0;
}

static int freeze_group(struct guard *guard, struct error *err)
{
	return guard_enter(guard, err) ? -1 : cgroup_freeze(&guard->group, err);
}

int guard_on(struct guard *guard, struct error *err)
{
	if (cgroup_make(&guard->group, &(struct error){ 0 }))
		return stop_by_signal(guard, err);
	if (!freeze_group(guard, err))
		return 0;
	guard_off(guard, &(struct error){ 0 });
	return -1;
}

static int compare(const struct guard *guard, struct error *err)
{
	const char *home = guard->group.line;
	char line[PATH_MAX];

	if (cgroup_line(guard->pid, guard->group.kind, line, sizeof(line)) || !strcmp(line, home))
		return 0;
	return error_set(err, CODE_INTERNAL, "move it back by hand",
			 "process %d was in cgroup %s and is in %s now", guard->pid, home, line);
}

int guard_off(struct guard *guard, struct error *err)
{
	/* a task that was stopped before the migration stays stopped */
	if (guard->signalled && !guard->was_stopped && send_signal(guard, SIGCONT))
		return error_errno(err, CODE_TARGET, NULL, "cannot continue process %d",
				   guard->pid);
	guard->signalled = false;
	if (!cgroup_exists(&guard->group))
		return 0;
	if (cgroup_thaw(&guard->group, err))
		return -1;
	/* a child that the program forked in the group leaves the group too */
	cgroup_empty(&guard->group);
	cgroup_remove(&guard->group, REMOVE_TIMEOUT_MS);
	return compare(guard, err);
}

int guard_kill(struct guard *guard, struct error *err)
{
	if (send_signal(guard, SIGKILL) && errno != ESRCH)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot kill process %d", guard->pid);
	/* the v1 freezer keeps a killed process; thawed, it dies before its next instruction */
	if (guard->group.kind == CGROUP_V1 && cgroup_exists(&guard->group))
		return cgroup_thaw(&guard->group, err);
	return 0;
}

int guard_wait_dead(struct guard *guard, struct error *err)
{
	struct pollfd pfd = { .fd = guard->pidfd, .events = POLLIN };
	int ret;

	do {
		ret = poll(&pfd, 1, KILL_TIMEOUT_MS);
	} while (ret < 0 && errno == EINTR);
	return ret > 0 ? 0 : error_set(err, CODE_INTERNAL, NULL,
				       "process %d was killed and does not die", guard->pid);
}

bool guard_wait_end(struct guard *guard, int timeout_ms)
{
	struct pollfd pfd = { .fd = guard->pidfd, .events = POLLIN };
	uint64_t mask;

	if (poll(&pfd, 1, timeout_ms) > 0)
		return true;
	if (guard->group.kind == CGROUP_V1 &&
	    !pending_read(guard->pid, &mask, &(struct error){ 0 }) && pending_has(mask, SIGKILL))
		cgroup_thaw(&guard->group, &(struct error){ 0 });
	return false;
}

void guard_forget(struct guard *guard)
{
	/* the pidfd becomes readable a moment before the last thread leaves the group */
	cgroup_remove(&guard->group, REMOVE_TIMEOUT_MS);
	cgroup_remove(&guard->criu, CRIU_TIMEOUT_MS);
}
