// SPDX-License-Identifier: GPL-2.0
/* The processes of one migration. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/tree.h"

/* A process that waits; with a child of its own, if it is asked for. */
static pid_t start(bool with_child)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		alarm(60);
		if (with_child && !fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			alarm(60);
			pause();
			_exit(0);
		}
		if (write(ready[1], "r", 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void a_process_is_read(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(false);
	struct source_process *process = tree_add(&tree, pid, &err);

	assert_non_null(process);
	assert_ptr_equal(process, tree_root(&tree));
	assert_int_equal(process->pid, pid);
	assert_int_equal(process->mm.pid, pid);
	assert_int_equal(process->status.ppid, getpid());
	assert_true(process->status.start_ticks > 0);
	assert_int_equal(tree_check(&tree, &err), 0);
	tree_destroy(&tree);
	end(pid);
}

/* Each address space has a name of its own, which frames carry; 0 is no name. */
static void each_mm_has_a_name(void **state)
{
	pid_t first = start(false), second = start(false);
	struct tree tree = { 0 };
	struct error err = { 0 };
	struct source_process *one = tree_add(&tree, first, &err);
	struct source_process *two = tree_add(&tree, second, &err);
	struct source_mm *mm;
	size_t nr = 0;

	assert_int_equal(one->mm.object, 1);
	assert_int_equal(two->mm.object, 2);
	assert_ptr_equal(tree_find_mm(&tree, 1), &one->mm);
	assert_ptr_equal(tree_find_mm(&tree, 2), &two->mm);
	assert_null(tree_find_mm(&tree, 0));
	assert_null(tree_find_mm(&tree, 3));
	tree_for_each_mm(&tree, mm)
		assert_ptr_equal(mm, nr++ ? &two->mm : &one->mm);
	assert_int_equal(nr, 2);
	tree_destroy(&tree);
	end(first);
	end(second);
}

static void a_process_that_is_gone(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(false);

	end(pid);
	assert_null(tree_add(&tree, pid, &err));
	assert_true(error_is_set(&err));
	tree_destroy(&tree);
}

/* More than the root is refused at the start, and when the program stands. */
static void a_child_is_refused(void **state)
{
	struct refusals refusals = { 0 };
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(true);

	assert_non_null(tree_add(&tree, pid, &err));
	tree_refuse(&tree, &refusals);
	assert_int_equal(refusals.nr, 1);
	assert_non_null(strstr(refusals.first.what, "has a child"));
	assert_int_equal(tree_check(&tree, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	tree_destroy(&tree);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_read),
		cmocka_unit_test(each_mm_has_a_name),
		cmocka_unit_test(a_process_that_is_gone),
		cmocka_unit_test(a_child_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
