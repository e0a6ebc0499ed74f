// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "os/proc.h"
#include "source/attributes.h"

/* What source_attributes_read() knows while it walks over the threads. */
struct walk {
	struct source_attributes *attributes;
	pid_t pid;
	struct error *err;
};

static int add_thread(void *ctx, pid_t tid)
{
	struct walk *walk = ctx;
	struct source_attributes *attributes = walk->attributes;

	if (attributes->nr == ATTRIBUTE_THREADS_MAX)
		return error_set(walk->err, CODE_REFUSED, NULL, "the program has more than %d threads",
				 ATTRIBUTE_THREADS_MAX);
	if (attributes->nr == attributes->cap) {
		size_t cap = 2 * attributes->cap + 16;
		struct thread_attributes *threads = realloc(attributes->threads,
							    cap * sizeof(*threads));

		if (!threads)
			return error_set(walk->err, CODE_INTERNAL, NULL, "no memory for threads");
		attributes->threads = threads;
		attributes->cap = cap;
	}
	return thread_attributes_read(walk->pid, tid, &attributes->threads[attributes->nr++],
				      walk->err);
}

static void scheduling_make(Migrate__Scheduling *message, const struct thread_sched *sched)
{
	migrate__scheduling__init(message);
	message->policy = sched->sched_policy;
	message->flags = sched->sched_flags;
	message->nice = sched->sched_nice;
	message->priority = sched->sched_priority;
	message->runtime_ns = sched->sched_runtime;
	message->deadline_ns = sched->sched_deadline;
	message->period_ns = sched->sched_period;
	message->util_min = sched->sched_util_min;
	message->util_max = sched->sched_util_max;
}

static unsigned int mitigation(unsigned int value)
{
	return value == MITIGATION_NEEDLESS ? 0 : value;
}

static void message_make(Migrate__ThreadAttributes *message, struct thread_attributes *thread,
			 const struct cpus *any)
{
	migrate__thread_attributes__init(message);
	message->tid = thread->ns_tid;
	message->no_new_privs = thread->no_new_privs;
	message->timer_slack_ns = thread->timer_slack_ns;
	message->io_priority = thread->io_priority;
	message->ambient = thread->ambient;
	message->store_bypass = mitigation(thread->store_bypass);
	message->indirect_branch = mitigation(thread->indirect_branch);
	message->io_flusher = thread->io_flusher;
	/* a thread that may run on all CPUs of this machine may run on all of the other one */
	message->has_cpus = memcmp(&thread->cpus, any, sizeof(*any)) != 0;
	message->cpus.data = thread->cpus.bits;
	message->cpus.len = cpus_bytes(&thread->cpus);
}

int source_attributes_read(struct source_attributes *attributes, pid_t pid,
			   const struct cgroup *group, struct error *err)
{
	struct walk walk = { .attributes = attributes, .pid = pid, .err = err };
	struct cpus any;

	if (process_attributes_read(pid, &attributes->process, err) ||
	    cpus_available(&any, group->kind == CGROUP_V2 ? group->home : "", err) || proc_threads(pid, add_thread, &walk, err))
		return -1;
	attributes->messages = calloc(attributes->nr + 1, sizeof(*attributes->messages));
	attributes->list = calloc(attributes->nr + 1, sizeof(*attributes->list));
	attributes->scheds = calloc(attributes->nr + 1, sizeof(*attributes->scheds));
	if (!attributes->messages || !attributes->list || !attributes->scheds)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for threads");
	for (size_t i = 0; i < attributes->nr; i++) {
		message_make(&attributes->messages[i], &attributes->threads[i], &any);
		scheduling_make(&attributes->scheds[i], &attributes->threads[i].sched);
		attributes->messages[i].scheduling = &attributes->scheds[i];
		attributes->list[i] = &attributes->messages[i];
	}
	return 0;
}

int source_attributes_read_in(struct source_attributes *attributes, pid_t pid, const struct cgroup *group,
			      const char *sub, struct error *err)
{
	struct cgroup own = *group;

	/* that group's CPUs are those which the process can have */
	strncat(own.home, sub, sizeof(own.home) - strlen(own.home) - 1);
	return source_attributes_read(attributes, pid, &own, err);
}

void source_attributes_fill(struct source_attributes *attributes, Migrate__Process *said)
{
	said->threads = attributes->list;
	said->n_threads = attributes->nr;
	said->has_coredump_filter = true;
	said->coredump_filter = attributes->process.coredump_filter;
	said->has_autogroup_nice = attributes->process.has_autogroup;
	said->autogroup_nice = attributes->process.autogroup_nice;
}

void source_attributes_free(struct source_attributes *attributes)
{
	free(attributes->threads);
	free(attributes->messages);
	free(attributes->list);
	free(attributes->scheds);
	memset(attributes, 0, sizeof(*attributes));
}

static enum loss loss_of(Migrate__AttributeKind kind)
{
	switch (kind) {
	case MIGRATE__ATTRIBUTE_KIND__ALARM:
		return LOSS_ALARM;
	case MIGRATE__ATTRIBUTE_KIND__NO_NEW_PRIVS:
		return LOSS_NO_NEW_PRIVS;
	case MIGRATE__ATTRIBUTE_KIND__AMBIENT_CAPABILITIES:
		return LOSS_AMBIENT_CAPABILITIES;
	case MIGRATE__ATTRIBUTE_KIND__SPECULATION:
		return LOSS_SPECULATION;
	case MIGRATE__ATTRIBUTE_KIND__IO_FLUSHER:
		return LOSS_IO_FLUSHER;
	case MIGRATE__ATTRIBUTE_KIND__SCHEDULING:
		return LOSS_SCHEDULING;
	case MIGRATE__ATTRIBUTE_KIND__CPUS:
		return LOSS_CPUS;
	case MIGRATE__ATTRIBUTE_KIND__TIMER_SLACK:
		return LOSS_TIMER_SLACK;
	case MIGRATE__ATTRIBUTE_KIND__IO_PRIORITY:
		return LOSS_IO_PRIORITY;
	case MIGRATE__ATTRIBUTE_KIND__COREDUMP_FILTER:
		return LOSS_COREDUMP_FILTER;
	case MIGRATE__ATTRIBUTE_KIND__AUTOGROUP_NICE:
		return LOSS_AUTOGROUP;
	default:
		return LOSS_NR;
	}
}

void source_attributes_take_answer(const Migrate__Attributes *answer, struct losses *losses)
{
	for (size_t i = 0; i < answer->n_attributes; i++) {
		const Migrate__Attribute *attribute = answer->attributes[i];
		enum loss loss = loss_of(attribute->kind);

		if (loss == LOSS_NR)
			continue;
		if (attribute->kept)
			losses_add_as(losses, loss, LOSS_REPAIRED, "%s", attribute->detail);
		else
			losses_add(losses, loss, "%s", attribute->detail);
	}
}
