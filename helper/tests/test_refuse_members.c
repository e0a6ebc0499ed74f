// SPDX-License-Identifier: GPL-2.0
/* How often a process is looked at before the program is refused for it. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/refuse_members.h"

/** struct bench - a program of one process, and what the looks at it are to find */
static struct bench {
	struct losses losses;
	struct refusals refusals;
	struct tree tree;
	struct inspection terms;
	struct error err;
	pid_t pid;
	int nr_looks, nr_pipes;
	bool same_pipe;
} bench;

static int start(void **state)
{
	memset(&bench, 0, sizeof(bench));
	bench.terms = (struct inspection){ .losses = &bench.losses, .tree = &bench.tree };
	bench.losses.quiet = true;
	bench.pid = fork();
	if (!bench.pid)
		for (;;)
			pause();
	return bench.pid < 0 || !tree_add(&bench.tree, bench.pid, &bench.err);
}

static int stop(void **state)
{
	tree_destroy(&bench.tree);
	losses_free(&bench.losses);
	kill(bench.pid, SIGKILL);
	return waitpid(bench.pid, NULL, 0) != bench.pid;
}

/* A pipe of each look, or the same one in all. */
static int find_pipe(const struct inspection *look, struct source_process *process,
		     struct refusals *refusals, struct error *err)
{
	bench.nr_looks++;
	if (bench.nr_looks <= bench.nr_pipes)
		losses_add(look->losses, LOSS_PIPE, "pipe %d", bench.same_pipe ? 0 : bench.nr_looks);
	return 0;
}

static int find_reason(const struct inspection *look, struct source_process *process,
		       struct refusals *refusals, struct error *err)
{
	bench.nr_looks++;
	if (bench.nr_looks <= bench.nr_pipes)
		refuse(refusals, "a hint", "reason %d", bench.same_pipe ? 0 : bench.nr_looks);
	return 0;
}

static void look(look_fn fn, int nr_pipes, bool same_pipe)
{
	bench.nr_pipes = nr_pipes;
	bench.same_pipe = same_pipe;
	assert_int_equal(refuse_members(&bench.terms, NULL, fn, &bench.refusals, &bench.err), 0);
	assert_true(tree_root(&bench.tree)->inspected);
}

/* A shell that calls programs all the time has in each look a pipe to another child. */
static void what_changes_is_looked_at_again(void **state)
{
	look(find_pipe, 5, false);
	assert_int_equal(bench.nr_looks, 6);
	assert_false(losses_forbid(&bench.losses));
}

static void what_stays_is_believed(void **state)
{
	look(find_pipe, 100, true);
	assert_int_equal(bench.nr_looks, 2);
	assert_true(losses_forbid(&bench.losses));
	assert_string_equal(bench.losses.items[0].detail, "pipe 0");
}

static void what_changes_for_ever_is_believed_in_the_end(void **state)
{
	look(find_pipe, 100, false);
	assert_int_equal(bench.nr_looks, 10);
	assert_int_equal(bench.losses.nr, 1);
	assert_string_equal(bench.losses.items[0].detail, "pipe 10");
}

static void so_are_reasons(void **state)
{
	look(find_reason, 100, true);
	assert_int_equal(bench.nr_looks, 2);
	assert_int_equal(bench.refusals.nr, 1);
	assert_string_equal(bench.refusals.first.what, "reason 0");
	assert_string_equal(bench.refusals.first.hint, "a hint");
}

static void reasons_that_change(void **state)
{
	look(find_reason, 3, false);
	assert_int_equal(bench.nr_looks, 4);
	assert_int_equal(bench.refusals.nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_changes_is_looked_at_again, start, stop),
		cmocka_unit_test_setup_teardown(what_stays_is_believed, start, stop),
		cmocka_unit_test_setup_teardown(what_changes_for_ever_is_believed_in_the_end, start, stop),
		cmocka_unit_test_setup_teardown(so_are_reasons, start, stop),
		cmocka_unit_test_setup_teardown(reasons_that_change, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
