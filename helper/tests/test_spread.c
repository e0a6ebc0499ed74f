// SPDX-License-Identifier: GPL-2.0
/* Each thing is done once, by whichever thread; the first failure is the one that counts. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/spread.h"

#define MANY	1000

/** struct work - @fails: the things that fail, the end is -1; @others: of things done by another thread */
struct work {
	atomic_int done[MANY];
	int fails[4];
	pid_t caller;
	atomic_int others;
};

static int do_one(void *ctx, size_t at, struct error *err)
{
	struct work *work = ctx;

	atomic_fetch_add(&work->done[at], 1);
	if (gettid() != work->caller)
		atomic_fetch_add(&work->others, 1);
	for (const int *fails = work->fails; *fails >= 0; fails++)
		if (*fails == (int)at)
			return error_set(err, CODE_TARGET, NULL, "thing %zu", at);
	/* so that no thread takes all of them */
	usleep(10);
	return 0;
}

static void each_once(void **state)
{
	static const size_t nrs[] = { 0, 1, 7, 8, 100, MANY };

	for (size_t i = 0; i < sizeof(nrs) / sizeof(*nrs); i++) {
		struct work work = { .fails = { -1 }, .caller = gettid() };
		struct error err = { 0 };

		assert_int_equal(spread_run(nrs[i], do_one, &work, &err), 0);
		for (size_t at = 0; at < MANY; at++)
			assert_int_equal(atomic_load(&work.done[at]), at < nrs[i]);
	}
}

static size_t cpus(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	return CPU_COUNT(&set);
}

static void other_threads_help(void **state)
{
	struct work work = { .fails = { -1 }, .caller = gettid() };
	struct error err = { 0 };

	if (cpus() < 2)
		skip();
	assert_int_equal(spread_run(MANY, do_one, &work, &err), 0);
	assert_true(atomic_load(&work.others) > 0);
	assert_true(atomic_load(&work.others) < MANY);
}

#define WAITING	8	/* threads, whatever CPUs there are */

/* Each waits until all of these do: on one CPU as well. */
static int wait_for_others(void *ctx, size_t at, struct error *err)
{
	pthread_barrier_wait(ctx);
	return 0;
}

static void those_that_wait_do_so_side_by_side(void **state)
{
	pthread_barrier_t barrier;
	struct error err = { 0 };

	pthread_barrier_init(&barrier, NULL, WAITING);
	/* or the test would wait for ever */
	alarm(60);
	assert_int_equal(spread_run_waiting(4 * WAITING, wait_for_others, &barrier, &err), 0);
	alarm(0);
	pthread_barrier_destroy(&barrier);
}

static void few_are_done_here(void **state)
{
	struct work work = { .fails = { -1 }, .caller = gettid() };
	struct error err = { 0 };

	assert_int_equal(spread_run(7, do_one, &work, &err), 0);
	assert_int_equal(atomic_load(&work.others), 0);
}

/* Whichever of two threads is the quicker one. */
static void the_first_failure_counts(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct work work = { .fails = { 500, 501, -1 }, .caller = gettid() };
		struct error err = { 0 };

		assert_int_equal(spread_run(MANY, do_one, &work, &err), -1);
		assert_int_equal(err.code, CODE_TARGET);
		assert_string_equal(err.what, "thing 500");
		assert_int_equal(atomic_load(&work.done[MANY - 1]), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_once), cmocka_unit_test(other_threads_help),
		cmocka_unit_test(those_that_wait_do_so_side_by_side),
		cmocka_unit_test(few_are_done_here), cmocka_unit_test(the_first_failure_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
