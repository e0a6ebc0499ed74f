// SPDX-License-Identifier: GPL-2.0
/* PID namespaces of the program, and who else is in them. Needs root. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/proc_tree.h"
#include "source/refuse.h"

/** struct bench - a tree; @word: what is ready, as its processes say */
struct bench {
	struct tree tree;
	struct inspection look;
	struct refusals refusals;
	struct error err;
	volatile int *word;
	pid_t pids[4];
	size_t nr;
};

static struct bench bench;

static int set_up(void **state)
{
	bench = (struct bench){ 0 };
	bench.look.tree = &bench.tree;
	bench.word = mmap(NULL, sizeof(*bench.word), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return bench.word == MAP_FAILED;
}

static int tear_down(void **state)
{
	/* the first process of a namespace ends when the parents of all others in it have reaped them */
	while (bench.nr) {
		pid_t pid = bench.pids[--bench.nr];

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	tree_destroy(&bench.tree);
	munmap((void *)bench.word, sizeof(*bench.word));
	return 0;
}

static void say_and_wait(void)
{
	(*bench.word)++;
	for (;;)
		pause();
}

static pid_t make(unsigned long flags, void (*body)(void))
{
	pid_t pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	body();
	_exit(1);
}

/* Start a root, and add it: as many processes as @words say that they have begun. */
static struct source_process *start(unsigned long flags, void (*body)(void), int words)
{
	struct source_process *root;

	bench.pids[bench.nr++] = make(flags, body);
	while (*bench.word < words)
		usleep(1000);
	root = tree_add(&bench.tree, bench.pids[0], &bench.err);
	assert_non_null(root);
	bench.look.process = root;
	return root;
}

static void expect(const char *text)
{
	refuse_pid_ns(&bench.look, &bench.refusals);
	assert_int_equal(bench.refusals.nr, text ? 1 : 0);
	assert_int_equal(refusals_end(&bench.refusals, bench.pids[0], &bench.err), text ? -1 : 0);
	if (text)
		assert_non_null(strstr(bench.err.what, text));
}

static void the_first_process_of_a_namespace_is_no_reason(void **state)
{
	start(CLONE_NEWPID, say_and_wait, 1);
	expect(NULL);
	assert_int_equal(refuse_strangers(&bench.tree, &bench.err), 0);
}

static void with_a_child(void)
{
	make(0, say_and_wait);
	say_and_wait();
}

/* A child of the first process, whose own parent is in no other namespace. */
static void another_process_of_a_namespace_is_refused(void **state)
{
	struct source_process *root = start(CLONE_NEWPID, with_a_child, 2);
	pid_t *pids;
	size_t nr;

	assert_int_equal(refuse_strangers(&bench.tree, &bench.err), 0);
	assert_int_equal(proc_tree(root->pid, &pids, &nr, &bench.err), 0);
	assert_int_equal(nr, 2);
	tree_destroy(&bench.tree);
	bench.look.process = tree_add(&bench.tree, pids[1], &bench.err);
	free(pids);
	expect("is in another PID namespace, and not its first process");
}

static void enter(void)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/ns/pid", bench.pids[0]);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWPID))
		_exit(1);
	make(0, say_and_wait);
	say_and_wait();
}

static void a_stranger_is_refused(void **state)
{
	start(CLONE_NEWPID, say_and_wait, 1);
	bench.pids[bench.nr++] = make(0, enter);
	while (*bench.word < 3)
		usleep(1000);
	expect(NULL);
	assert_int_equal(refuse_strangers(&bench.tree, &bench.err), -1);
	assert_int_equal(bench.err.code, CODE_REFUSED);
	assert_non_null(strstr(bench.err.what, "entered the PID namespace"));
}

/* In the namespace of everybody else there are always others. */
static void a_tree_without_a_namespace_has_no_strangers(void **state)
{
	start(0, say_and_wait, 1);
	expect(NULL);
	assert_int_equal(refuse_strangers(&bench.tree, &bench.err), 0);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(the_first_process_of_a_namespace_is_no_reason),
		BENCH_TEST(another_process_of_a_namespace_is_refused),
		BENCH_TEST(a_stranger_is_refused),
		BENCH_TEST(a_tree_without_a_namespace_has_no_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
