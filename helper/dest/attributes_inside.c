// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "dest/attributes.h"
#include "kernel/remote.h"

static int set_no_new_privs(struct attributes *attributes, struct remote *remote, pid_t tid,
			    struct error *err)
{
	struct remote_call call = { .nr = SYS_prctl, .args = { PR_SET_NO_NEW_PRIVS, 1 } };
	long result;

	if (remote_call(remote, tid, &call, &result, err))
		return -1;
	if (result)
		attribute_failed(attributes, MIGRATE__ATTRIBUTE_KIND__NO_NEW_PRIVS,
				 "thread %d: %s", tid, strerror(-result));
	else
		attribute_set(attributes, MIGRATE__ATTRIBUTE_KIND__NO_NEW_PRIVS, "thread %d", tid);
	return 0;
}

static int set_itimer(struct attributes *attributes, struct remote *remote, int which,
		      const struct itimerval *timer, struct error *err)
{
	static const char *const names[] = { "ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF" };
	struct remote_call call = {
		.nr = SYS_setitimer, .args = { which },
		.data = timer, .bytes = sizeof(*timer), .data_arg = 1,
	};
	long result;

	if (timer->it_interval.tv_sec || timer->it_interval.tv_usec ||
	    (!timer->it_value.tv_sec && !timer->it_value.tv_usec))
		return 0;
	if (remote_call(remote, remote->pid, &call, &result, err))
		return -1;
	if (result)
		attribute_failed(attributes, MIGRATE__ATTRIBUTE_KIND__ALARM, "%s: %s",
				 names[which], strerror(-result));
	else
		attribute_set(attributes, MIGRATE__ATTRIBUTE_KIND__ALARM,
			      "%s, which expires in %ld.%03ld s", names[which],
			      (long)timer->it_value.tv_sec, (long)timer->it_value.tv_usec / 1000);
	return 0;
}

static int make_calls(struct attributes *attributes, struct remote *remote,
		      const struct inside *inside, struct error *err)
{
	for (size_t i = 0; i < inside->nr; i++)
		if (set_no_new_privs(attributes, remote, inside->tids[i], err))
			return -1;
	for (int which = 0; inside->itimers && which < 3; which++)
		if (set_itimer(attributes, remote, which, &inside->itimers[which], err))
			return -1;
	return 0;
}

/* A traced thread stands, in a group that is thawed too. */
static int calls_while_thawed(struct attributes *attributes, struct remote *remote,
			      const struct inside *inside, const struct cgroup *group,
			      struct error *err)
{
	if (cgroup_thaw(group, err) || remote_wait(remote, err) ||
	    make_calls(attributes, remote, inside, err))
		return -1;
	return cgroup_freeze(group, err);
}

int attributes_inside(struct attributes *attributes, pid_t pid, const struct inside *inside,
		      const struct cgroup *group, struct error *err)
{
	struct remote remote;
	int ret;

	if (cgroup_wait_frozen(group, err) || remote_seize(&remote, pid, err))
		return -1;
	ret = calls_while_thawed(attributes, &remote, inside, group, err);
	/* in a group that is not frozen they would run: they die, and the source goes on */
	if (ret)
		kill(pid, SIGKILL);
	remote_release(&remote);
	return ret;
}
