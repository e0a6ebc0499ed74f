// SPDX-License-Identifier: GPL-2.0
/* Children that have the memory of their parents, or for which their parents wait: vfork() and its relatives. */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "os/proc_tree.h"
#include "tests/followed.h"

static int borrow(void *arg)
{
	pause();
	return 0;
}

/* A child that borrows the memory of its parent has nothing to send; for good, it is refused. */
static void a_borrower_does_not_join(void **state)
{
	static uint8_t stack[65536] __attribute__((aligned(16)));
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = clone(borrow, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);

	assert_true(pid > 0);
	assert_non_null(tree_add(&tree, getpid(), &err));
	assert_int_equal(follow(&tree), 0);
	assert_int_equal(tree_find_borrower(&tree), pid);
	end(pid);
	assert_int_equal(tree_find_borrower(&tree), 0);
	tree_destroy(&tree);
}

static void be_parent(long (*begin)(void))
{
	alarm(60);
	begin();
	alarm(60);
	for (;;)
		pause();
}

static long by_clone(void)
{
	return syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
}

static long by_clone3(void)
{
	struct clone_args args = { .flags = CLONE_VFORK, .exit_signal = SIGCHLD };

	return syscall(SYS_clone3, &args, sizeof(args));
}

static long by_fork(void)
{
	return fork();
}

/* Return: the child of a new process that was begun in this way; the process is *@parent */
static pid_t family_by(long (*begin)(void), pid_t *parent)
{
	pid_t child = 0;

	*parent = fork();
	assert_true(*parent >= 0);
	if (!*parent)
		be_parent(begin);
	while (!child)
		child = child_of(*parent);
	return child;
}

/* The parent cannot be stopped: CRIU would wait for it. */
static void a_parent_that_waits_for_its_child(void **state)
{
	long (*const waits[])(void) = { by_clone, by_clone3 };
	pid_t parent, child;

	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		child = family_by(waits[i], &parent);
		assert_false(proc_shares_mm(child, parent));
		for (int ms = 0; ms < 10000 && !proc_borrows(child, parent); ms++)
			usleep(1000);
		assert_true(proc_borrows(child, parent));
		kill(child, SIGKILL);
		end(parent);
	}
	child = family_by(by_fork, &parent);
	usleep(10000);
	assert_false(proc_borrows(child, parent));
	kill(child, SIGKILL);
	end(parent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_borrower_does_not_join),
		cmocka_unit_test(a_parent_that_waits_for_its_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
