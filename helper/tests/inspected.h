/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program that is looked at, and the terms of the look. Included by one test, after cmocka.h.
 */
#ifndef MIGRATE_TESTS_INSPECTED_H
#define MIGRATE_TESTS_INSPECTED_H

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "source/refuse.h"

/** struct bench - see the top of this file. @pid: the root */
struct bench {
	struct migrate_options opts;
	struct criu_version criu;
	struct losses losses;
	struct tree tree;
	struct inspection terms;
	struct error err;
	pid_t pid;
};

/* end of file at its reading end: all processes have begun */
static int ready[2];

static int joined(void *ctx, struct source_process *process, struct error *err)
{
	return 0;
}

static void follow(struct bench *bench)
{
	assert_int_equal(tree_follow(&bench->tree, joined, NULL, &bench->err), 0);
}

static void quiet_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int fd = 0; fd < 3; fd++)
		dup2(open("/dev/null", O_RDWR | O_CLOEXEC), fd);
}

/* @root runs in the root of the tree. What it forks closes the end of @ready that it writes to, when it has begun. */
static struct bench *start(void (*root)(void))
{
	static struct bench bench;
	char byte;

	bench = (struct bench){ .criu = { .major = 4, .minor = 1 } };
	bench.terms = (struct inspection){
		.opts = &bench.opts, .criu = &bench.criu, .losses = &bench.losses, .tree = &bench.tree,
	};
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	bench.pid = fork();
	assert_true(bench.pid >= 0);
	if (!bench.pid) {
		quiet_child();
		close(ready[0]);
		root();
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	assert_non_null(tree_add(&bench.tree, bench.pid, &bench.err));
	follow(&bench);
	return &bench;
}

static void end(struct bench *bench)
{
	kill(bench->pid, SIGKILL);
	waitpid(bench->pid, NULL, 0);
	tree_destroy(&bench->tree);
	losses_free(&bench->losses);
}

#endif
