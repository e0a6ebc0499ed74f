// SPDX-License-Identifier: GPL-2.0
/* Outer and inner numbers of processes and threads. Needs root. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/attributes.h"
#include "os/ns_pids.h"
#include "os/proc.h"

static void a_line_is_parsed(void **state)
{
	struct ns_pids pids;

	assert_true(ns_pids_parse("NSpid:\t4711\t23\t1\n", "NSpid:", &pids));
	assert_int_equal(pids.outer, 4711);
	assert_int_equal(pids.inner, 1);
	assert_int_equal(pids.depth, 2);
	assert_true(ns_pids_parse("NSsid:\t4711\t0\n", "NSsid:", &pids));
	assert_int_equal(pids.outer, 4711);
	assert_int_equal(pids.inner, 0);
	assert_int_equal(pids.depth, 1);
	assert_true(ns_pids_parse("NSpid:\t8\n", "NSpid:", &pids));
	assert_int_equal(pids.outer, 8);
	assert_int_equal(pids.inner, 8);
	assert_int_equal(pids.depth, 0);
}

static void another_line_changes_nothing(void **state)
{
	struct ns_pids pids = { .outer = 7 };

	assert_false(ns_pids_parse("NStgid:\t4711\t1\n", "NSpid:", &pids));
	assert_false(ns_pids_parse("NSpid:\n", "NSpid:", &pids));
	assert_false(ns_pids_parse("", "NSpid:", &pids));
	assert_int_equal(pids.outer, 7);
}

/** struct word - of the process in the new namespace: its thread there, and how its numbers began */
struct word {
	int tid;
	bool led;
};

static struct word *word;

static void *in_thread(void *arg)
{
	word->tid = gettid();
	for (;;)
		pause();
	return NULL;
}

static void first_process(bool leads)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (leads)
		setsid();
	word->led = leads;
	pthread_create(&thread, NULL, in_thread, NULL);
	for (;;)
		pause();
}

static pid_t start(bool leads)
{
	pid_t pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);

	assert_true(pid >= 0);
	if (!pid)
		first_process(leads);
	while (!*(volatile int *)&word->tid)
		usleep(1000);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	word->tid = 0;
}

static void the_first_process_of_a_namespace_has_two_numbers(void **state)
{
	struct error err = { 0 };
	struct proc_status status;
	pid_t pid = start(true);

	assert_int_equal(proc_status_read(pid, &status, &err), 0);
	assert_int_equal(status.ns_pid, NS_INIT_PID);
	assert_int_equal(status.session, pid);
	assert_int_equal(status.ns_session, NS_INIT_PID);
	end(pid);
	pid = start(false);
	assert_int_equal(proc_status_read(pid, &status, &err), 0);
	/* this test's own, which is not seen there */
	assert_int_equal(status.session, getsid(0));
	assert_int_equal(status.ns_session, 0);
	end(pid);
}

/* The walk at the destination goes by the inner numbers. */
static void a_thread_has_its_inner_number(void **state)
{
	struct thread_attributes thread;
	struct error err = { 0 };
	pid_t pid = start(true);

	assert_int_equal(thread_attributes_read(pid, pid, &thread, &err), 0);
	assert_int_equal(thread.ns_tid, NS_INIT_PID);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_parsed),
		cmocka_unit_test(another_line_changes_nothing),
		cmocka_unit_test(the_first_process_of_a_namespace_has_two_numbers),
		cmocka_unit_test(a_thread_has_its_inner_number),
	};

	word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* a session that the tests' own namespace has */
	setsid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
