// SPDX-License-Identifier: GPL-2.0
/* A held group that is killed: the parent of its processes is told, as without a tracer. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/cgroup_members.h"
#include "os/remote_group.h"

#define LATER_MS	5000	/* less than a tracer that does not wait would keep them */

/** struct bench - a group with one process of two threads, whose @parent is not this process */
struct bench {
	struct cgroup group;
	pid_t parent, child;
	struct error err;
};

static void *second_thread(void *arg)
{
	int ready = *(int *)arg;

	if (write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void child_body(int ready)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, second_thread, &ready))
		_exit(1);
	for (;;)
		pause();
}

/* It waits for its child, and tells by its exit status which signal killed the child. */
static void parent_body(int pids, int ready)
{
	pid_t child = fork();
	int status;

	if (!child)
		child_body(ready);
	if (write(pids, &child, sizeof(child)) != sizeof(child) || waitpid(child, &status, 0) != child)
		_exit(0);
	_exit(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pids[2], ready[2];
	char name[64], byte;

	if (pipe(pids) || pipe(ready))
		return -1;
	bench->parent = fork();
	if (!bench->parent)
		parent_body(pids[1], ready[1]);
	if (read(pids[0], &bench->child, sizeof(bench->child)) != sizeof(bench->child) ||
	    read(ready[0], &byte, 1) != 1)
		return -1;
	for (int i = 0; i < 2; i++) {
		close(pids[i]);
		close(ready[i]);
	}
	snprintf(name, sizeof(name), "test-remote-group-%d", getpid());
	cgroup_plan(&bench->group, 0, CGROUP_BELOW, name);
	*state = bench;
	return cgroup_make(&bench->group, &bench->err) || cgroup_add(&bench->group, bench->child) ||
	       cgroup_freeze(&bench->group, &bench->err) ? -1 : 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	cgroup_kill(&bench->group, &(struct error){ 0 });
	if (bench->parent) {
		kill(bench->parent, SIGKILL);
		waitpid(bench->parent, NULL, 0);
	}
	cgroup_remove(&bench->group, LATER_MS);
	free(bench);
	return 0;
}

/* Return: the signal that the parent was told of */
static int told(struct bench *bench)
{
	int status;

	for (int ms = 0; ms < LATER_MS; ms++, usleep(1000))
		if (waitpid(bench->parent, &status, WNOHANG) == bench->parent) {
			bench->parent = 0;
			return WEXITSTATUS(status);
		}
	fail_msg("the parent is not told");
	return 0;
}

static void killed_while_it_stands(void **state)
{
	struct bench *bench = *state;
	struct remote_group all;

	assert_int_equal(remote_group_hold(&all, &bench->group, false, &bench->err), 0);
	remote_group_kill(&all);
	assert_int_equal(told(bench), SIGKILL);
}

static void killed_while_it_is_thawed(void **state)
{
	struct bench *bench = *state;
	struct remote_group all;

	assert_int_equal(remote_group_hold(&all, &bench->group, true, &bench->err), 0);
	remote_group_kill(&all);
	assert_int_equal(told(bench), SIGKILL);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(killed_while_it_stands), BENCH_TEST(killed_while_it_is_thawed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
