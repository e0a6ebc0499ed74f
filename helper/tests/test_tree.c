// SPDX-License-Identifier: GPL-2.0
/* The processes of one migration. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "fake_backend.h"
#include "os/proc_tree.h"
#include "source/tree.h"
#include "tests/followed.h"

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

static size_t nr_alive(const struct tree *tree)
{
	struct source_process *process;
	size_t nr = 0;

	tree_for_each(tree, process)
		nr++;
	return nr;
}

/* A child joins once; when it is a zombie it is gone, and its object id is not used again. */
static void a_child_is_followed(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(true), child;

	assert_non_null(tree_add(&tree, pid, &err));
	assert_int_equal(follow(&tree), 1);
	assert_int_equal(follow(&tree), 0);
	child = child_of(pid);
	assert_int_equal(tree.processes[1]->pid, child);
	assert_int_equal(tree.processes[1]->mm.object, 2);
	kill(child, SIGKILL);
	while (!tree.processes[1]->gone)
		assert_int_equal(follow(&tree), 0);
	assert_int_equal(nr_alive(&tree), 1);
	assert_null(tree_find_mm(&tree, 2));
	tree_drop_gone(&tree);
	assert_int_equal(tree.nr, 1);
	assert_int_equal(follow(&tree), 0);
	assert_int_equal(tree.last_object, 2);
	tree_destroy(&tree);
	end(pid);
}

/* The pid is another process's now: the start time is part of the name. */
static void a_pid_that_is_used_again(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(true);

	assert_non_null(tree_add(&tree, pid, &err));
	assert_int_equal(follow(&tree), 1);
	tree.processes[1]->status.start_ticks++;
	assert_int_equal(follow(&tree), 1);
	assert_true(tree.processes[1]->gone);
	assert_int_equal(tree.processes[2]->mm.object, 3);
	tree_destroy(&tree);
	end(pid);
}

/* A process that called exec has a new address space, which is another object. */
static void exec_makes_another_object(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(true);
	struct fake fake;

	fake_init(&fake);
	assert_non_null(tree_add(&tree, pid, &err));
	assert_int_equal(follow(&tree), 1);
	tree.processes[1]->mm.backend = &fake.backend;
	assert_int_equal(follow(&tree), 0);
	fake.gone = true;
	assert_int_equal(follow(&tree), 1);
	assert_true(tree.processes[1]->gone);
	assert_int_equal(tree.processes[2]->pid, tree.processes[1]->pid);
	assert_int_equal(tree.processes[2]->mm.object, 3);
	tree_destroy(&tree);
	end(pid);
}

static int keeps_the_memory(void *arg)
{
	alarm(60);
	for (;;)
		pause();
	return 0;
}

/* A child that calls exec when @begin has a byte, and whose memory a child of its own has too. */
static void run_exec(int begin)
{
	static char stack[65536];
	char byte;

	if (clone(keeps_the_memory, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) < 0 ||
	    read(begin, &byte, 1) != 1)
		_exit(1);
	execlp("sleep", "sleep", "60", NULL);
}

static pid_t start_exec(int begin)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	alarm(60);
	if (!fork()) {
		/* also the child that has the memory ends so */
		setpgid(0, getppid());
		run_exec(begin);
		_exit(1);
	}
	for (;;)
		pause();
}

/* The session sees no end of the old address space, since another process has that one. */
static void exec_beside_another_process_with_the_memory(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	struct fake fake;
	int begin[2];
	pid_t pid;

	assert_int_equal(pipe(begin), 0);
	pid = start_exec(begin[0]);
	setpgid(pid, pid);
	assert_non_null(tree_add(&tree, pid, &err));
	while (tree.nr == 1)
		follow(&tree);
	fake_init(&fake);
	tree.processes[1]->mm.backend = &fake.backend;
	assert_int_equal(follow(&tree), 0);
	assert_false(source_process_called_exec(tree.processes[1]));
	assert_int_equal(write(begin[1], "x", 1), 1);
	for (int ms = 0; !tree.processes[1]->gone && ms < 10000; ms++) {
		follow(&tree);
		usleep(1000);
	}
	assert_true(tree.processes[1]->gone);
	assert_false(source_process_called_exec(tree_root(&tree)));
	/* the process, and the one that had its memory */
	assert_int_equal(nr_alive(&tree), 3);
	tree_destroy(&tree);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(begin[0]);
	close(begin[1]);
}

/* A failure of a process that has ended is none; of one that lives, or of the root, it is. */
static void the_end_of_a_child_is_forgiven(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(true), child;

	assert_non_null(tree_add(&tree, pid, &err));
	assert_int_equal(follow(&tree), 1);
	child = child_of(pid);
	error_set(&err, CODE_TARGET, NULL, "it cannot be read");
	assert_false(tree_forgive(&tree, tree.processes[1], &err));
	kill(child, SIGKILL);
	while (!tree_forgive(&tree, tree.processes[1], &err))
		usleep(1000);
	assert_false(error_is_set(&err));
	assert_true(tree.processes[1]->gone);
	end(pid);
	assert_false(tree_forgive(&tree, tree_root(&tree), &err));
	tree_destroy(&tree);
}

/* While the program stands nobody may be killed unseen: the destination would start the process. */
static void a_killed_child_is_noticed(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(true), child;

	assert_non_null(tree_add(&tree, pid, &err));
	assert_int_equal(follow(&tree), 1);
	assert_int_equal(tree_check_alive(&tree, &err), 0);
	child = child_of(pid);
	kill(child, SIGKILL);
	while (!tree_check_alive(&tree, &err))
		usleep(1000);
	assert_int_equal(err.code, CODE_TARGET);
	tree_destroy(&tree);
	end(pid);
}

/* The quick look, which reads no file of /proc. */
static void a_memory_that_is_no_more_is_noticed(void **state)
{
	struct fake fakes[2];
	struct tree tree = { 0 };
	struct error err = { 0 };

	for (int i = 0; i < 2; i++) {
		struct source_process *process = tree_add(&tree, getpid(), &err);

		assert_non_null(process);
		fake_init(&fakes[i]);
		process->mm.backend = &fakes[i].backend;
	}
	assert_int_equal(tree_check_memory(&tree, &err), 0);
	fakes[1].gone = true;
	assert_int_equal(tree_check_memory(&tree, &err), -1);
	assert_int_equal(err.code, CODE_TARGET);
	tree_destroy(&tree);
}

/* That /proc cannot be read says nothing of a process. */
static void a_lack_of_descriptors_is_no_end(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(true);
	struct rlimit before, none;
	size_t joined = 0;

	assert_non_null(tree_add(&tree, pid, &err));
	assert_int_equal(follow(&tree), 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(tree_follow(&tree, count_joined, &joined, &err), -1);
	assert_false(tree_forgive(&tree, tree.processes[1], &err));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_false(tree.processes[1]->gone);
	assert_int_equal(follow(&tree), 0);
	tree_destroy(&tree);
	end(pid);
}

/* A grandchild whose parent ends is init's child: it does not move. */
static void an_orphan_leaves(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(true), child;

	assert_non_null(tree_add(&tree, getpid(), &err));
	follow(&tree);
	child = child_of(pid);
	assert_int_equal(nr_alive(&tree), 3);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (nr_alive(&tree) > 1)
		follow(&tree);
	kill(child, SIGKILL);
	tree_destroy(&tree);
}

/* @ctx: the parent, which ends while its child is looked at */
static int refuse_orphan(void *ctx, struct source_process *process, struct error *err)
{
	const pid_t *parent = ctx;

	if (process->status.ppid != *parent)
		return 0;
	end(*parent);
	return error_set(err, CODE_REFUSED, NULL, "it is in another control group by now");
}

/* A daemon that is made in the moment of the look: what speaks against it is no matter. */
static void who_leaves_is_not_refused(void **state)
{
	struct tree tree = { 0 };
	struct error err = { 0 };
	pid_t pid = start(true), child = child_of(pid);

	assert_non_null(tree_add(&tree, getpid(), &err));
	assert_int_equal(tree_follow(&tree, refuse_orphan, &pid, &err), 0);
	kill(child, SIGKILL);
	assert_int_equal(tree.processes[2]->pid, child);
	assert_true(tree.processes[2]->gone);
	tree_destroy(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_read),
		cmocka_unit_test(each_mm_has_a_name),
		cmocka_unit_test(a_process_that_is_gone),
		cmocka_unit_test(a_child_is_followed),
		cmocka_unit_test(a_pid_that_is_used_again),
		cmocka_unit_test(exec_makes_another_object),
		cmocka_unit_test(exec_beside_another_process_with_the_memory),
		cmocka_unit_test(the_end_of_a_child_is_forgiven),
		cmocka_unit_test(a_killed_child_is_noticed),
		cmocka_unit_test(a_memory_that_is_no_more_is_noticed),
		cmocka_unit_test(a_lack_of_descriptors_is_no_end),
		cmocka_unit_test(an_orphan_leaves),
		cmocka_unit_test(who_leaves_is_not_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
