// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "dest/attributes.h"

#define CAPABILITIES	64

static struct inside_call *inside_add(struct inside *inside, pid_t tid,
				      Migrate__AttributeKind kind, long nr, struct error *err)
{
	struct inside_call *call;

	if (inside->nr == inside->cap) {
		size_t cap = 2 * inside->cap + 16;

		call = realloc(inside->calls, cap * sizeof(*call));
		if (!call) {
			error_set(err, CODE_INTERNAL, NULL, "no memory for system calls");
			return NULL;
		}
		inside->calls = call;
		inside->cap = cap;
	}
	call = &inside->calls[inside->nr++];
	memset(call, 0, sizeof(*call));
	call->tid = tid;
	call->kind = kind;
	call->call.nr = nr;
	return call;
}

static int plan_prctl(struct inside *inside, pid_t tid, Migrate__AttributeKind kind,
		      const uint64_t *args, const char *detail, struct error *err)
{
	struct inside_call *call = inside_add(inside, tid, kind, SYS_prctl, err);

	if (!call)
		return -1;
	memcpy(call->call.args, args, 3 * sizeof(*args));
	snprintf(call->detail, sizeof(call->detail), "%s", detail);
	return 0;
}

static int plan_ambient(struct inside *inside, const struct thread_attributes *thread,
			const Migrate__ThreadAttributes *wanted, struct error *err)
{
	uint64_t missing = wanted->ambient & ~thread->ambient;
	char detail[32];

	for (unsigned int cap = 0; cap < CAPABILITIES; cap++) {
		uint64_t args[] = { PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap };

		if (!(missing >> cap & 1))
			continue;
		snprintf(detail, sizeof(detail), "thread %d: capability %u", wanted->tid, cap);
		if (plan_prctl(inside, thread->tid, MIGRATE__ATTRIBUTE_KIND__AMBIENT_CAPABILITIES,
			       args, detail, err))
			return -1;
	}
	return 0;
}

static int plan_mitigation(struct inside *inside, pid_t tid, unsigned int which,
			   unsigned int wanted, unsigned int now, struct error *err)
{
	uint64_t args[] = { PR_SET_SPECULATION_CTRL, which, wanted };

	if (now >= wanted)
		return 0;
	return plan_prctl(inside, tid, MIGRATE__ATTRIBUTE_KIND__SPECULATION, args,
			  which == PR_SPEC_STORE_BYPASS ? "store bypass" : "indirect branch", err);
}

int inside_plan_thread(struct inside *inside, const struct thread_attributes *thread,
		       const Migrate__ThreadAttributes *wanted, struct error *err)
{
	uint64_t no_new_privs[] = { PR_SET_NO_NEW_PRIVS, 1, 0 };
	uint64_t io_flusher[] = { PR_SET_IO_FLUSHER, 1, 0 };
	pid_t tid = thread->tid;
	char detail[32];

	snprintf(detail, sizeof(detail), "thread %d", wanted->tid);
	if (wanted->no_new_privs && !thread->no_new_privs &&
	    plan_prctl(inside, tid, MIGRATE__ATTRIBUTE_KIND__NO_NEW_PRIVS, no_new_privs, detail,
		       err))
		return -1;
	if (wanted->io_flusher && !thread->io_flusher &&
	    plan_prctl(inside, tid, MIGRATE__ATTRIBUTE_KIND__IO_FLUSHER, io_flusher, detail, err))
		return -1;
	if (plan_mitigation(inside, tid, PR_SPEC_STORE_BYPASS, wanted->store_bypass,
			    thread->store_bypass, err) ||
	    plan_mitigation(inside, tid, PR_SPEC_INDIRECT_BRANCH, wanted->indirect_branch,
			    thread->indirect_branch, err))
		return -1;
	return plan_ambient(inside, thread, wanted, err);
}

static bool is_set(const struct timeval *time)
{
	return time->tv_sec || time->tv_usec;
}

int inside_plan_itimers(struct inside *inside, pid_t pid, const struct criu_task *task,
			struct error *err)
{
	static const char *const names[] = { "ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF" };

	for (size_t which = 0; which < 3; which++) {
		const struct itimerval *timer = &task->itimers[which];
		struct inside_call *call;

		if (is_set(&timer->it_interval) || !is_set(&timer->it_value))
			continue;
		call = inside_add(inside, pid, MIGRATE__ATTRIBUTE_KIND__ALARM, SYS_setitimer, err);
		if (!call)
			return -1;
		call->call.args[0] = which;
		call->call.data_arg = 1;
		call->call.bytes = sizeof(call->timer);
		call->timer = *timer;
		snprintf(call->detail, sizeof(call->detail), "%s, which expires in %ld.%03ld s",
			 names[which], (long)timer->it_value.tv_sec,
			 (long)timer->it_value.tv_usec / 1000);
	}
	return 0;
}

int inside_run(const struct inside *inside, struct attribute_results *results,
	       struct remote *remote, struct error *err)
{
	for (size_t i = 0; i < inside->nr; i++) {
		const struct inside_call *from = &inside->calls[i];
		struct remote_call call = from->call;
		long result;

		call.data = &from->timer;
		if (remote_call(remote, from->tid, &call, &result, err))
			return -1;
		if (result)
			attribute_failed(results, from->kind, "%s: %s", from->detail,
					 strerror(-result));
		else
			attribute_set(results, from->kind, "%s", from->detail);
	}
	return 0;
}

void inside_free(struct inside *inside)
{
	free(inside->calls);
	memset(inside, 0, sizeof(*inside));
}
