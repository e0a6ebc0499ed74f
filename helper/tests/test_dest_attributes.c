// SPDX-License-Identifier: GPL-2.0
/* What the destination takes and sets of the attributes of a process. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <cmocka.h>
#include "dest/attributes.h"
#include "os/attributes.h"
#include "tests/idle_child.h"

/** struct carried - the message of one thread that has what @pid has now, and what is made of it */
struct carried {
	Migrate__ThreadAttributes thread, *list[1];
	Migrate__Scheduling scheduling;
	Migrate__Process go;
	struct attributes to;
	struct error err;
};

static void carried_init(struct carried *carried, pid_t pid)
{
	struct thread_attributes now;

	memset(carried, 0, sizeof(*carried));
	migrate__thread_attributes__init(&carried->thread);
	migrate__scheduling__init(&carried->scheduling);
	migrate__process__init(&carried->go);
	assert_int_equal(thread_attributes_read(pid, pid, &now, &carried->err), 0);
	carried->thread.tid = pid;
	carried->thread.timer_slack_ns = now.timer_slack_ns;
	carried->thread.io_priority = now.io_priority;
	carried->scheduling.nice = now.sched.sched_nice;
	carried->thread.scheduling = &carried->scheduling;
	carried->list[0] = &carried->thread;
	carried->go.threads = carried->list;
	carried->go.n_threads = 1;
}

static void carried_cpus(struct carried *carried, struct cpus *cpus)
{
	carried->thread.has_cpus = true;
	carried->thread.cpus.data = cpus->bits;
	carried->thread.cpus.len = cpus_bytes(cpus);
}

static void carried_restore(struct carried *carried, pid_t pid)
{
	struct criu_task task = { .nr_threads = 1 };
	struct cpus available;

	assert_int_equal(cpus_available(&available, "", &carried->err), 0);
	assert_int_equal(attributes_take(&carried->to, &carried->go, &carried->err), 0);
	assert_int_equal(attributes_restore(&carried->to, pid, &task, &available, &carried->err), 0);
}

/* A thread gets what the message says; what it has already is not counted as set. */
static void restored(void **state)
{
	struct thread_attributes got;
	struct carried carried;
	struct cpus cpus;
	pid_t pid = child_start();

	carried_init(&carried, pid);
	assert_int_equal(cpus_parse(&cpus, "0"), 0);
	carried_cpus(&carried, &cpus);
	carried.thread.timer_slack_ns = 12345;
	carried_restore(&carried, pid);
	assert_int_equal(thread_attributes_read(pid, pid, &got, &carried.err), 0);
	assert_int_equal(got.timer_slack_ns, 12345);
	assert_memory_equal(&got.cpus, &cpus, sizeof(cpus));
	assert_int_equal(carried.to.results.of[MIGRATE__ATTRIBUTE_KIND__TIMER_SLACK].set, 1);
	assert_int_equal(carried.to.results.of[MIGRATE__ATTRIBUTE_KIND__IO_PRIORITY].set, 0);
	attributes_free(&carried.to);
	child_end(pid);
}

/* A CPU that is not here is said; the thread runs on those that are. */
static void cpus_not_here(void **state)
{
	struct carried carried;
	struct cpus cpus;
	pid_t pid = child_start();

	carried_init(&carried, pid);
	assert_int_equal(cpus_parse(&cpus, "0,8000"), 0);
	carried_cpus(&carried, &cpus);
	carried_restore(&carried, pid);
	assert_int_equal(carried.to.results.of[MIGRATE__ATTRIBUTE_KIND__CPUS].failed, 1);
	assert_non_null(strstr(carried.to.results.of[MIGRATE__ATTRIBUTE_KIND__CPUS].detail,
			       "runs on the CPUs 0, not 0,8000"));
	attributes_free(&carried.to);
	child_end(pid);
}

static void wrong_messages(void **state)
{
	Migrate__ThreadAttributes thread = MIGRATE__THREAD_ATTRIBUTES__INIT, *list[] = { &thread };
	Migrate__Scheduling scheduling = MIGRATE__SCHEDULING__INIT;
	Migrate__Process go = MIGRATE__PROCESS__INIT;
	struct criu_task task = { .nr_threads = 2 };
	struct attributes to = { 0 };
	struct error err = { 0 };
	struct cpus cpus[2] = { 0 };

	thread.scheduling = &scheduling;
	go.threads = list;
	go.n_threads = 1;
	thread.tid = 5;
	thread.has_cpus = true;
	thread.cpus.data = cpus[0].bits;
	thread.cpus.len = CPUS_BYTES + 1;
	assert_int_equal(attributes_take(&to, &go, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	memset(&err, 0, sizeof(err));
	/* such a thread could run nowhere */
	thread.cpus.len = 0;
	assert_int_equal(attributes_take(&to, &go, &err), -1);
	memset(&err, 0, sizeof(err));
	thread.cpus.len = CPUS_BYTES;
	thread.tid = 0;
	assert_int_equal(attributes_take(&to, &go, &err), -1);
	memset(&err, 0, sizeof(err));
	thread.tid = 5;
	assert_int_equal(attributes_take(&to, &go, &err), 0);
	/* of another number of threads than the images */
	assert_int_equal(attributes_restore(&to, getpid(), &task, &cpus[0], &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	attributes_free(&to);
}

static void mitigations_are_planned(void **state)
{
	Migrate__ThreadAttributes wanted = MIGRATE__THREAD_ATTRIBUTES__INIT;
	struct thread_attributes here = { .tid = 5 };
	struct inside inside = { 0 };
	struct error err = { 0 };

	wanted.store_bypass = PR_SPEC_FORCE_DISABLE;
	wanted.indirect_branch = PR_SPEC_DISABLE;
	here.indirect_branch = MITIGATION_NEEDLESS;
	assert_int_equal(inside_plan_thread(&inside, &here, &wanted, &err), 0);
	assert_int_equal(inside.nr, 1);
	assert_int_equal(inside.calls[0].kind, MIGRATE__ATTRIBUTE_KIND__SPECULATION);
	assert_int_equal(inside.calls[0].call.args[0], PR_SET_SPECULATION_CTRL);
	assert_int_equal(inside.calls[0].call.args[1], PR_SPEC_STORE_BYPASS);
	assert_int_equal(inside.calls[0].call.args[2], PR_SPEC_FORCE_DISABLE);
	inside_free(&inside);
	here.indirect_branch = 0;
	here.store_bypass = PR_SPEC_FORCE_DISABLE;
	assert_int_equal(inside_plan_thread(&inside, &here, &wanted, &err), 0);
	assert_int_equal(inside.nr, 1);
	assert_int_equal(inside.calls[0].call.args[1], PR_SPEC_INDIRECT_BRANCH);
	inside_free(&inside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restored),
		cmocka_unit_test(cpus_not_here),
		cmocka_unit_test(wrong_messages),
		cmocka_unit_test(mitigations_are_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
