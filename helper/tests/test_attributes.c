// SPDX-License-Identifier: GPL-2.0
/* Attributes of a thread and a process, from the source to the destination. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/attributes.h"
#include "os/attributes.h"
#include "source/attributes.h"

static pid_t child_start(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void set_from_outside(void **state)
{
	struct process_attributes process;
	struct thread_attributes thread;
	struct error err = { 0 };
	pid_t pid = child_start();
	struct cpus cpus;

	assert_int_equal(cpus_parse(&cpus, "0"), 0);
	assert_int_equal(thread_set_cpus(pid, &cpus), 0);
	assert_int_equal(thread_set_timer_slack(pid, 12345), 0);
	assert_int_equal(thread_set_io_priority(pid, 2 << 13 | 5), 0);
	assert_int_equal(process_set_coredump_filter(pid, 0x7f), 0);
	assert_int_equal(thread_attributes_read(pid, pid, &thread, &err), 0);
	assert_int_equal(process_attributes_read(pid, &process, &err), 0);
	assert_memory_equal(&thread.cpus, &cpus, sizeof(cpus));
	assert_int_equal(thread.timer_slack_ns, 12345);
	assert_int_equal(thread.io_priority, 2 << 13 | 5);
	assert_int_equal(thread.ns_tid, pid);
	assert_false(thread.no_new_privs);
	assert_int_equal(process.coredump_filter, 0x7f);
	child_end(pid);
	assert_int_equal(thread_attributes_read(pid, pid, &thread, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
}

/* From one process to another, through the message. */
static void carried(void **state)
{
	Migrate__Process go = MIGRATE__PROCESS__INIT;
	struct cgroup none = { .kind = CGROUP_NONE };
	struct source_attributes from = { 0 };
	struct thread_attributes got;
	struct attributes to = { 0 };
	struct criu_task task = { .nr_threads = 1 };
	struct error err = { 0 };
	pid_t pid = child_start(), other = child_start();
	struct cpus cpus, available;

	assert_int_equal(cpus_available(&available, "", &err), 0);
	assert_int_equal(cpus_parse(&cpus, "0"), 0);
	assert_int_equal(thread_set_cpus(pid, &cpus), 0);
	assert_int_equal(thread_set_timer_slack(pid, 12345), 0);
	assert_int_equal(source_attributes_read(&from, pid, &none, &err), 0);
	source_attributes_fill(&from, &go);
	assert_int_equal(go.n_threads, 1);
	go.threads[0]->tid = other;
	assert_int_equal(attributes_take(&to, &go, &err), 0);
	source_attributes_free(&from);
	assert_int_equal(attributes_restore(&to, other, &task, &available, &err), 0);
	assert_int_equal(thread_attributes_read(other, other, &got, &err), 0);
	assert_int_equal(got.timer_slack_ns, 12345);
	assert_memory_equal(&got.cpus, &cpus, sizeof(cpus));
	assert_int_equal(to.results.of[MIGRATE__ATTRIBUTE_KIND__TIMER_SLACK].set, 1);
	assert_int_equal(to.results.of[MIGRATE__ATTRIBUTE_KIND__IO_PRIORITY].set, 0);
	attributes_free(&to);
	child_end(pid);
	child_end(other);
}

/* A CPU that is not here is said; the thread runs on those that are. */
static void cpus_not_here(void **state)
{
	Migrate__ThreadAttributes thread = MIGRATE__THREAD_ATTRIBUTES__INIT, *list[] = { &thread };
	Migrate__Scheduling scheduling = MIGRATE__SCHEDULING__INIT;
	Migrate__Process go = MIGRATE__PROCESS__INIT;
	struct criu_task task = { .nr_threads = 1 };
	pid_t pid = child_start();
	struct attributes to = { 0 };
	struct error err = { 0 };
	struct thread_attributes now;
	struct cpus cpus, available;

	assert_int_equal(cpus_available(&available, "", &err), 0);
	assert_int_equal(thread_attributes_read(pid, pid, &now, &err), 0);
	thread.tid = pid;
	thread.timer_slack_ns = now.timer_slack_ns;
	thread.io_priority = now.io_priority;
	scheduling.nice = now.sched.sched_nice;
	assert_int_equal(cpus_parse(&cpus, "0,8000"), 0);
	thread.has_cpus = true;
	thread.cpus.data = cpus.bits;
	thread.cpus.len = cpus_bytes(&cpus);
	thread.scheduling = &scheduling;
	go.threads = list;
	go.n_threads = 1;
	assert_int_equal(attributes_take(&to, &go, &err), 0);
	assert_int_equal(attributes_restore(&to, pid, &task, &available, &err), 0);
	assert_int_equal(to.results.of[MIGRATE__ATTRIBUTE_KIND__CPUS].failed, 1);
	assert_non_null(strstr(to.results.of[MIGRATE__ATTRIBUTE_KIND__CPUS].detail,
			       "runs on the CPUs 0, not 0,8000"));
	attributes_free(&to);
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

/* As Linux 6.1 writes them on a CPU that can mitigate. */
static void mitigations(void **state)
{
	static const struct {
		const char *line;
		unsigned int store_bypass, indirect_branch;
	} texts[] = {
		{ "Speculation_Store_Bypass:\tthread mitigated\n", PR_SPEC_DISABLE, 0 },
		{ "Speculation_Store_Bypass:\tthread force mitigated\n", PR_SPEC_FORCE_DISABLE, 0 },
		{ "Speculation_Store_Bypass:\tthread vulnerable\n", 0, 0 },
		{ "Speculation_Store_Bypass:\tglobally mitigated\n", MITIGATION_NEEDLESS, 0 },
		{ "SpeculationIndirectBranch:\tconditional disabled\n", 0, PR_SPEC_DISABLE },
		{ "SpeculationIndirectBranch:\tconditional force disabled\n", 0,
		  PR_SPEC_FORCE_DISABLE },
		{ "SpeculationIndirectBranch:\tconditional enabled\n", 0, 0 },
		{ "SpeculationIndirectBranch:\talways disabled\n", 0, MITIGATION_NEEDLESS },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct thread_attributes thread = { 0 };

		thread_attributes_parse(texts[i].line, &thread);
		assert_int_equal(thread.store_bypass, texts[i].store_bypass);
		assert_int_equal(thread.indirect_branch, texts[i].indirect_branch);
	}
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

/* Each of these that the destination could not set forbids the move, by its name. */
static void refused_answers(void **state)
{
	static const struct {
		Migrate__AttributeKind kind;
		const char *name;
	} rows[] = {
		{ MIGRATE__ATTRIBUTE_KIND__ALARM, "--accept-loss alarm " },
		{ MIGRATE__ATTRIBUTE_KIND__NO_NEW_PRIVS, "--accept-loss no-new-privs " },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		Migrate__Attribute one = MIGRATE__ATTRIBUTE__INIT, *list[] = { &one };
		Migrate__Attributes answer = MIGRATE__ATTRIBUTES__INIT;
		struct losses losses = { 0 };
		struct error err = { 0 };

		one.kind = rows[i].kind;
		one.detail = "thread 5: Operation not permitted";
		answer.attributes = list;
		answer.n_attributes = 1;
		source_attributes_take_answer(&answer, &losses);
		assert_int_equal(losses_refused(&losses, &err), -1);
		assert_int_equal(err.code, CODE_REFUSED);
		assert_non_null(strstr(err.hint, rows[i].name));
		assert_non_null(strstr(err.what, one.detail));
		losses_free(&losses);
	}
}

static void answers(void **state)
{
	Migrate__Attribute one = MIGRATE__ATTRIBUTE__INIT, two = MIGRATE__ATTRIBUTE__INIT;
	Migrate__Attribute odd = MIGRATE__ATTRIBUTE__INIT, *list[] = { &one, &two, &odd };
	Migrate__Attributes answer = MIGRATE__ATTRIBUTES__INIT;
	struct losses losses = { 0 };
	struct error err = { 0 };

	one.kind = MIGRATE__ATTRIBUTE_KIND__ALARM;
	one.kept = true;
	one.detail = "ITIMER_REAL";
	two.kind = MIGRATE__ATTRIBUTE_KIND__CPUS;
	two.detail = "thread 5\033[2J";
	odd.kind = 1000;
	odd.detail = "";
	answer.attributes = list;
	answer.n_attributes = 3;
	source_attributes_take_answer(&answer, &losses);
	assert_int_equal(losses.nr, 2);
	assert_int_equal(losses.items[0].fate, LOSS_REPAIRED);
	assert_int_equal(losses.items[1].fate, LOSS_WARNED);
	assert_string_equal(losses.items[1].detail, "thread 5\\x1b[2J");
	assert_int_equal(losses_refused(&losses, &err), 0);
	one.kept = false;
	source_attributes_take_answer(&answer, &losses);
	assert_int_equal(losses_refused(&losses, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	losses_free(&losses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_from_outside),
		cmocka_unit_test(carried),
		cmocka_unit_test(cpus_not_here),
		cmocka_unit_test(wrong_messages),
		cmocka_unit_test(answers),
		cmocka_unit_test(refused_answers),
		cmocka_unit_test(mitigations),
		cmocka_unit_test(mitigations_are_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
