/* SPDX-License-Identifier: GPL-2.0 */
/* A look at a tree in a test, and the end of a process that a test has made. */
#ifndef MIGRATE_TESTS_FOLLOWED_H
#define MIGRATE_TESTS_FOLLOWED_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "os/proc_tree.h"
#include "source/tree.h"

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int count_joined(void *ctx, struct source_process *process, struct error *err)
{
	size_t *nr = ctx;

	(*nr)++;
	return 0;
}

/* Return: the first child; 0: there is none */
static pid_t child_of(pid_t pid)
{
	struct error err = { 0 };
	pid_t *pids, child;
	size_t nr;

	assert_int_equal(proc_tree(pid, &pids, &nr, &err), 0);
	child = nr > 1 ? pids[1] : 0;
	free(pids);
	return child;
}

/* Return: how many joined */
static size_t follow(struct tree *tree)
{
	struct error err = { 0 };
	size_t joined = 0;

	assert_int_equal(tree_follow(tree, count_joined, &joined, &err), 0);
	return joined;
}

#endif
