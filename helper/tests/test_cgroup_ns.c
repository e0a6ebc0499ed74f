// SPDX-License-Identifier: GPL-2.0
/* Cgroup namespaces: where they begin. Needs root and a mounted cgroup2. */
#define _GNU_SOURCE
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/cgroup_ns.h"
#include "os/proc.h"
#include "tests/in_group.h"

static struct cgroup group;
static volatile int *word;

static int set_up(void **state)
{
	struct error err = { 0 };
	char name[64];

	snprintf(name, sizeof(name), "test-cgroup-ns-%d", getpid());
	cgroup_plan(&group, 0, CGROUP_BELOW, name);
	if (group.kind != CGROUP_V2)
		skip();
	*word = 0;
	return cgroup_make(&group, &err);
}

static int tear_down(void **state)
{
	cgroup_remove(&group, 1000);
	return 0;
}

static pid_t start(int (*begin)(void))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		*word = begin() ? -1 : 1;
		for (;;)
			pause();
	}
	while (!*word)
		usleep(1000);
	assert_int_equal(*word, 1);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static int unshare_in_group(void)
{
	return cgroup_add(&group, 0) || unshare(CLONE_NEWCGROUP);
}

static void a_namespace_begins_with_the_group(void **state)
{
	pid_t pid = start(unshare_in_group);
	char sub[PATH_MAX] = "not read";

	assert_int_equal(cgroup_ns_top(pid, sub, sizeof(sub)), 0);
	assert_string_equal(sub, "");
	/* this test, which looks, has its own one still */
	assert_int_not_equal(proc_ns(pid, "cgroup"), proc_ns(0, "cgroup"));
	end(pid);
}

static int unshare_above_group(void)
{
	return unshare(CLONE_NEWCGROUP) || cgroup_add(&group, 0);
}

static void a_namespace_begins_above_the_group(void **state)
{
	pid_t pid = start(unshare_above_group);
	char sub[PATH_MAX], wanted[64];

	snprintf(wanted, sizeof(wanted), "/test-cgroup-ns-%d", getpid());
	assert_int_equal(cgroup_ns_top(pid, sub, sizeof(sub)), 0);
	assert_string_equal(sub, wanted);
	end(pid);
}

static int enter(void)
{
	return cgroup_ns_enter(&group);
}

/* What is in the group comes back to where the namespace begins. */
static void a_process_enters_with_a_new_namespace(void **state)
{
	pid_t pid = start(enter);
	char sub[PATH_MAX], wanted[64];

	assert_true(in_group(&group, pid));
	assert_int_not_equal(proc_ns(pid, "cgroup"), proc_ns(0, "cgroup"));
	snprintf(wanted, sizeof(wanted), "/test-cgroup-ns-%d", getpid());
	assert_int_equal(cgroup_ns_top(pid, sub, sizeof(sub)), 0);
	assert_string_equal(sub, wanted);
	assert_int_equal(cgroup_move(group.home, pid), 0);
	assert_int_equal(cgroup_ns_top(pid, sub, sizeof(sub)), 0);
	assert_string_equal(sub, "");
	end(pid);
}

static void an_ended_process_has_none(void **state)
{
	char sub[PATH_MAX];
	pid_t pid = start(enter);

	end(pid);
	assert_int_equal(cgroup_ns_top(pid, sub, sizeof(sub)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_namespace_begins_with_the_group, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_namespace_begins_above_the_group, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_process_enters_with_a_new_namespace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_ended_process_has_none, set_up, tear_down),
	};

	word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
