// SPDX-License-Identifier: GPL-2.0
/* A control group in the hierarchy that this machine has. Needs root. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/cgroup_homes.h"
#include "tests/in_group.h"
#include "tests/no_fds.h"

/** struct counter - a process that counts as fast as it can, for all to see */
struct counter {
	pid_t pid;
	int pipe;
};

static struct cgroup group;
static struct counter counter;

static void counter_start(void)
{
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	counter.pid = fork();
	if (!counter.pid) {
		while (write(pipes[1], "x", 1) == 1)
			usleep(1000);
		_exit(0);
	}
	close(pipes[1]);
	counter.pipe = pipes[0];
}

static void drain(void)
{
	char buffer[65536];

	fcntl(counter.pipe, F_SETFL, O_NONBLOCK);
	while (read(counter.pipe, buffer, sizeof(buffer)) > 0)
		;
}

/* However busy the machine is. */
static bool counts(void)
{
	struct pollfd pfd = { .fd = counter.pipe, .events = POLLIN };

	drain();
	return poll(&pfd, 1, 10000) > 0 && pfd.revents & POLLIN;
}

static bool stands(void)
{
	char byte;

	drain();
	usleep(200000);
	return read(counter.pipe, &byte, 1) <= 0;
}

static int setup(void **state)
{
	char name[64];

	snprintf(name, sizeof(name), "migrate-helper-unit-%d", getpid());
	if (geteuid() || cgroup_plan(&group, 0, CGROUP_BELOW, name)) {
		print_message("this needs root, and a cgroup hierarchy with a freezer\n");
		skip();
	}
	counter_start();
	return 0;
}

static int teardown(void **state)
{
	kill(counter.pid, SIGKILL);
	cgroup_kill(&group, &(struct error){ 0 });
	waitpid(counter.pid, NULL, 0);
	close(counter.pipe);
	return cgroup_remove(&group, 1000);
}

static void test_plan_leaves_nothing(void **state)
{
	assert_false(cgroup_exists(&group));
}

static void test_freeze(void **state)
{
	struct error err = { 0 };

	assert_int_equal(cgroup_make(&group, &err), 0);
	assert_int_equal(in_group_count(&group), 0);
	assert_int_equal(cgroup_add(&group, counter.pid), 0);
	assert_int_equal(in_group_count(&group), 1);
	assert_true(in_group(&group, counter.pid));
	assert_true(counts());
	assert_int_equal(cgroup_freeze(&group, &err), 0);
	assert_true(stands());
	assert_int_equal(cgroup_thaw(&group, &err), 0);
	assert_true(counts());
}

static void test_empty(void **state)
{
	char line[PATH_MAX];
	struct error err = { 0 };

	assert_int_equal(cgroup_make(&group, &err), 0);
	assert_int_equal(cgroup_add(&group, counter.pid), 0);
	assert_int_equal(cgroup_line(counter.pid, group.kind, line, sizeof(line)), 0);
	assert_string_not_equal(line, group.line);
	assert_int_equal(cgroup_empty(&group, cgroup_homes_back), 0);
	assert_int_equal(cgroup_line(counter.pid, group.kind, line, sizeof(line)), 0);
	assert_string_equal(line, group.line);
	assert_int_equal(cgroup_remove(&group, 1000), 0);
	assert_false(cgroup_exists(&group));
	assert_true(counts());
}

/* A frozen process does not run on its way to its death, and the v1 freezer lets it die. */
static void test_kill_frozen(void **state)
{
	struct error err = { 0 };
	int status;

	assert_int_equal(cgroup_make(&group, &err), 0);
	assert_int_equal(cgroup_add(&group, counter.pid), 0);
	assert_int_equal(cgroup_freeze(&group, &err), 0);
	assert_true(stands());
	assert_int_equal(cgroup_kill(&group, &err), 0);
	assert_int_equal(waitpid(counter.pid, &status, 0), counter.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(stands());
	assert_int_equal(cgroup_remove(&group, 1000), 0);
}

/* A short list would freeze, kill or move a part of the program only. */
static void test_list_or_error(void **state)
{
	struct error err = { 0 }, killing = { 0 };
	struct rlimit limit;
	bool empty;
	int ret, killed;
	pid_t *pids;
	size_t nr;

	assert_int_equal(cgroup_make(&group, &err), 0);
	assert_int_equal(cgroup_add(&group, counter.pid), 0);
	limit = no_fds_begin(0);
	ret = cgroup_pids(&group, &pids, &nr, &err);
	empty = cgroup_is_empty(&group);
	killed = cgroup_kill(&group, &killing);
	no_fds_end(&limit);
	assert_int_equal(ret, -1);
	assert_int_equal(err.os_errno, EMFILE);
	assert_false(empty);
	assert_int_equal(killed, -1);
	assert_int_equal(killing.os_errno, EMFILE);
	assert_true(counts());
}

static void test_none(void **state)
{
	struct cgroup none = { .kind = CGROUP_NONE };
	struct error err = { 0 };

	assert_int_equal(cgroup_make(&none, &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	assert_false(cgroup_exists(&none));
	assert_int_equal(cgroup_kill(&none, &(struct error){ 0 }), 0);
	assert_int_equal(cgroup_remove(&none, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test_setup_teardown(test_plan_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freeze, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill_frozen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_or_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
