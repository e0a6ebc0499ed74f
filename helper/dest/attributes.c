// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dest/attributes.h"
#include "os/attributes.h"
#include "os/proc.h"

#define THREADS_MAX	65536

/*
 * The walk of attributes_restore() over the restored threads.
 * @available: CPUs of the cgroup in which the threads will run
 */
struct walk {
	struct attributes *attributes;
	pid_t pid;
	const struct cpus *available;
	struct error *err;
};

int attributes_take(struct attributes *attributes, const Migrate__Process *said,
		    struct error *err)
{
	uint8_t *packed;
	size_t bytes;

	if (said->n_threads > THREADS_MAX)
		return error_set(err, CODE_PEER, NULL, "the source sent too many threads");
	for (size_t i = 0; i < said->n_threads; i++)
		if (said->threads[i]->cpus.len > CPUS_BYTES || said->threads[i]->tid <= 0 ||
		    (said->threads[i]->has_cpus && !said->threads[i]->cpus.len))
			return error_set(err, CODE_PEER, NULL,
					 "the source sent wrong attributes of thread %d",
					 said->threads[i]->tid);
	attributes_free(attributes);
	bytes = migrate__process__get_packed_size(said);
	packed = malloc(bytes + 1);
	if (packed) {
		migrate__process__pack(said, packed);
		attributes->wanted = migrate__process__unpack(NULL, bytes, packed);
		free(packed);
	}
	return attributes->wanted ? 0 :
	       error_set(err, CODE_INTERNAL, NULL, "no memory for attributes of threads");
}

static const Migrate__ThreadAttributes *find_wanted(const Migrate__Process *said, pid_t tid)
{
	for (size_t i = 0; i < said->n_threads; i++)
		if (said->threads[i]->tid == tid)
			return said->threads[i];
	return NULL;
}

/* A thread gets the wanted CPUs that this machine has, or all CPUs when it has none of them. */
static void restore_cpus(struct walk *walk, const struct thread_attributes *thread,
			 const Migrate__ThreadAttributes *wanted)
{
	char wanted_text[CPUS_TEXT_BYTES], text[CPUS_TEXT_BYTES];
	struct cpus cpus = { 0 }, here;

	if (!wanted->has_cpus)
		return;
	memcpy(cpus.bits, wanted->cpus.data, wanted->cpus.len);
	cpus_print(&cpus, wanted_text, sizeof(wanted_text));
	/* @available is that of the final group, not of the group in which the program is frozen */
	if (!cpus_and(&here, &cpus, walk->available))
		here = *walk->available;
	cpus_print(&here, text, sizeof(text));
	if (memcmp(&here, &thread->cpus, sizeof(here)) && thread_set_cpus(thread->tid, &here))
		attribute_failed(&walk->attributes->results, MIGRATE__ATTRIBUTE_KIND__CPUS,
				 "thread %d, CPUs %s: %s", wanted->tid, text, strerror(errno));
	else if (memcmp(&here, &cpus, sizeof(here)))
		attribute_failed(&walk->attributes->results, MIGRATE__ATTRIBUTE_KIND__CPUS,
				 "thread %d runs on the CPUs %s, not %s", wanted->tid, text,
				 wanted_text);
	else
		attribute_set(&walk->attributes->results, MIGRATE__ATTRIBUTE_KIND__CPUS,
			      "thread %d: CPUs %s", wanted->tid, text);
}

static void restore_timer_slack(struct attributes *attributes,
				const struct thread_attributes *thread,
				const Migrate__ThreadAttributes *wanted)
{
	if (thread->timer_slack_ns == wanted->timer_slack_ns)
		return;
	if (thread_set_timer_slack(thread->tid, wanted->timer_slack_ns))
		attribute_failed(&attributes->results, MIGRATE__ATTRIBUTE_KIND__TIMER_SLACK,
				 "thread %d has %" PRIu64 " ns, not %" PRIu64 ": %s", wanted->tid,
				 thread->timer_slack_ns, wanted->timer_slack_ns, strerror(errno));
	else
		attribute_set(&attributes->results, MIGRATE__ATTRIBUTE_KIND__TIMER_SLACK,
			      "thread %d: %" PRIu64 " ns", wanted->tid, wanted->timer_slack_ns);
}

static void restore_io_priority(struct attributes *attributes,
				const struct thread_attributes *thread,
				const Migrate__ThreadAttributes *wanted)
{
	if (thread->io_priority == (int)wanted->io_priority)
		return;
	if (thread_set_io_priority(thread->tid, wanted->io_priority))
		attribute_failed(&attributes->results, MIGRATE__ATTRIBUTE_KIND__IO_PRIORITY,
				 "thread %d has %#x, not %#x: %s", wanted->tid, thread->io_priority,
				 wanted->io_priority, strerror(errno));
	else
		attribute_set(&attributes->results, MIGRATE__ATTRIBUTE_KIND__IO_PRIORITY, "thread %d: %#x",
			      wanted->tid, wanted->io_priority);
}

static void restore_sched(struct attributes *attributes, const struct thread_attributes *thread,
			  const Migrate__ThreadAttributes *wanted)
{
	const Migrate__Scheduling *from = wanted->scheduling;
	struct thread_sched sched = {
		.sched_policy = from->policy, .sched_flags = from->flags,
		.sched_nice = from->nice, .sched_priority = from->priority,
		.sched_runtime = from->runtime_ns, .sched_deadline = from->deadline_ns,
		.sched_period = from->period_ns, .sched_util_min = from->util_min,
		.sched_util_max = from->util_max,
	};

	if (thread_has_sched(&sched, &thread->sched))
		return;
	if (thread_set_sched(thread->tid, &sched))
		attribute_failed(&attributes->results, MIGRATE__ATTRIBUTE_KIND__SCHEDULING,
				 "thread %d, policy %u, flags %#" PRIx64 ": %s", wanted->tid,
				 from->policy, from->flags, strerror(errno));
	else
		attribute_set(&attributes->results, MIGRATE__ATTRIBUTE_KIND__SCHEDULING,
			      "thread %d, policy %u, flags %#" PRIx64, wanted->tid, from->policy,
			      from->flags);
}

static int restore_thread(void *ctx, pid_t tid)
{
	struct walk *walk = ctx;
	const Migrate__ThreadAttributes *wanted;
	struct thread_attributes thread;

	if (thread_attributes_read(walk->pid, tid, &thread, walk->err))
		return -1;
	wanted = find_wanted(walk->attributes->wanted, thread.ns_tid);
	if (!wanted)
		return error_set(walk->err, CODE_PEER, NULL,
				 "the source sent no attributes of thread %d", thread.ns_tid);
	restore_cpus(walk, &thread, wanted);
	restore_timer_slack(walk->attributes, &thread, wanted);
	restore_io_priority(walk->attributes, &thread, wanted);
	restore_sched(walk->attributes, &thread, wanted);
	return inside_plan_thread(&walk->attributes->inside, &thread, wanted, walk->err);
}

static void process_result(struct attributes *attributes, Migrate__AttributeKind kind, int ret,
			   int now, int wanted)
{
	if (ret)
		attribute_failed(&attributes->results, kind, "it is %d, not %d: %s", now, wanted,
				 strerror(errno));
	else
		attribute_set(&attributes->results, kind, "%d", wanted);
}

static int restore_process(struct attributes *attributes, pid_t pid, struct error *err)
{
	const Migrate__Process *wanted = attributes->wanted;
	struct process_attributes now;

	if (process_attributes_read(pid, &now, err))
		return -1;
	if (wanted->has_coredump_filter && wanted->coredump_filter != now.coredump_filter)
		process_result(attributes, MIGRATE__ATTRIBUTE_KIND__COREDUMP_FILTER,
			       process_set_coredump_filter(pid, wanted->coredump_filter),
			       now.coredump_filter, wanted->coredump_filter);
	/* on a kernel without autogroups the value has no effect */
	if (wanted->has_autogroup_nice && now.has_autogroup &&
	    wanted->autogroup_nice != now.autogroup_nice)
		process_result(attributes, MIGRATE__ATTRIBUTE_KIND__AUTOGROUP_NICE,
			       process_set_autogroup_nice(pid, wanted->autogroup_nice),
			       now.autogroup_nice, wanted->autogroup_nice);
	return 0;
}

int attributes_restore(struct attributes *attributes, pid_t pid, const struct criu_task *task,
		       const struct cpus *available, struct error *err)
{
	struct walk walk = { .attributes = attributes, .pid = pid, .available = available, .err = err };

	if (attributes->wanted->n_threads != task->nr_threads)
		return error_set(err, CODE_PEER, NULL,
				 "the source sent attributes of %zu threads, the images have %zu",
				 attributes->wanted->n_threads, task->nr_threads);
	return restore_process(attributes, pid, err) ||
	       proc_threads(pid, restore_thread, &walk, err) ||
	       inside_plan_itimers(&attributes->inside, pid, task, err) ? -1 : 0;
}

bool attributes_need_inside(const struct attributes *attributes)
{
	return attributes->inside.nr;
}

int attributes_run_inside(struct attributes *attributes, struct remote *remote, struct error *err)
{
	return inside_run(&attributes->inside, &attributes->results, remote, err);
}

static size_t results_fill(const struct attributes *attributes, Migrate__Attribute *messages,
			   Migrate__Attribute **list, char (*details)[ATTRIBUTE_DETAIL_BYTES + 32])
{
	size_t nr = 0;

	for (size_t kind = 1; kind < ATTRIBUTE_KINDS; kind++) {
		const struct attribute_result *result = &attributes->results.of[kind];
		size_t count = result->failed ? result->failed : result->set;

		if (!count)
			continue;
		snprintf(details[nr], sizeof(*details), count > 1 ? "%s (and %zu more)" : "%s",
			 result->detail, count - 1);
		migrate__attribute__init(&messages[nr]);
		messages[nr].kind = kind;
		messages[nr].kept = !result->failed;
		messages[nr].detail = details[nr];
		list[nr] = &messages[nr];
		nr++;
	}
	return nr;
}

int attributes_send(const struct attributes *attributes, struct control *ctl, struct error *err)
{
	char details[ATTRIBUTE_KINDS][ATTRIBUTE_DETAIL_BYTES + 32];
	Migrate__Attribute messages[ATTRIBUTE_KINDS], *list[ATTRIBUTE_KINDS];
	Migrate__Attributes answer = MIGRATE__ATTRIBUTES__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;

	answer.attributes = list;
	answer.n_attributes = results_fill(attributes, messages, list, details);
	if (!answer.n_attributes)
		return 0;
	msg.body_case = MIGRATE__CONTROL__BODY_ATTRIBUTES;
	msg.attributes = &answer;
	return control_send(ctl, &msg, err);
}

void attributes_free(struct attributes *attributes)
{
	if (attributes->wanted)
		migrate__process__free_unpacked(attributes->wanted, NULL);
	inside_free(&attributes->inside);
	memset(attributes, 0, sizeof(*attributes));
}
