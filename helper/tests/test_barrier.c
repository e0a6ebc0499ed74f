// SPDX-License-Identifier: GPL-2.0
/* Threads of memory streams meet: one is late, one dies, one is in another round. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/barrier.h"

#define NR	3
#define ROUNDS	300
#define LATE_US	100000

/**
 * struct stream - the thread of one
 * @late: it comes later than the others; @ret, @err: of the last barrier_arrive()
 */
struct stream {
	unsigned int number;
	uint32_t first, rounds;
	bool late;
	int ret;
	struct error err;
	pthread_t thread;
};

static struct {
	struct barrier barrier;
	struct stream streams[NR];
	atomic_uint brought[ROUNDS + 2], done, wrong;
	bool fails;
} w;

static int set_up(void **state)
{
	memset(&w, 0, sizeof(w));
	barrier_init(&w.barrier, NR);
	for (unsigned int i = 0; i < NR; i++)
		w.streams[i] = (struct stream){ .number = i, .first = 1, .rounds = 1 };
	return 0;
}

static int tear_down(void **state)
{
	barrier_destroy(&w.barrier);
	return 0;
}

/* Nobody has gone on, and everybody is here. */
static int on_done(void *ctx, uint32_t round, struct error *err)
{
	if (atomic_load(&w.brought[round]) != NR || atomic_load(&w.brought[round + 1]))
		atomic_fetch_add(&w.wrong, 1);
	atomic_fetch_add(&w.done, 1);
	return w.fails ? error_set(err, CODE_NETWORK, NULL, "cannot acknowledge") : 0;
}

static void *run(void *arg)
{
	struct stream *stream = arg;

	for (uint32_t i = 0; i < stream->rounds && !stream->ret; i++) {
		uint32_t round = stream->first + i;

		if (round > 1 && atomic_load(&w.brought[round - 1]) != NR)
			atomic_fetch_add(&w.wrong, 1);
		if (stream->late)
			usleep(LATE_US);
		atomic_fetch_add(&w.brought[round], 1);
		stream->ret = barrier_arrive(&w.barrier, stream->number, round, on_done, NULL, &stream->err);
	}
	return NULL;
}

static void start(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		assert_int_equal(pthread_create(&w.streams[i].thread, NULL, run, &w.streams[i]), 0);
}

static void join(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(w.streams[i].thread, NULL);
}

static void nobody_goes_on_before_the_late_one(void **state)
{
	w.streams[1].late = true;
	start(NR);
	usleep(LATE_US / 4);
	assert_int_equal(atomic_load(&w.done), 0);
	join(NR);
	assert_int_equal(atomic_load(&w.done), 1);
	assert_int_equal(atomic_load(&w.wrong), 0);
	for (unsigned int i = 0; i < NR; i++)
		assert_int_equal(w.streams[i].ret, 0);
}

static void each_round_is_a_barrier(void **state)
{
	for (unsigned int i = 0; i < NR; i++)
		w.streams[i].rounds = ROUNDS;
	start(NR);
	join(NR);
	assert_int_equal(atomic_load(&w.done), ROUNDS);
	assert_int_equal(atomic_load(&w.wrong), 0);
}

static void who_waits_for_one_that_died_comes_back(void **state)
{
	start(NR - 1);
	usleep(LATE_US / 4);
	barrier_fail(&w.barrier);
	join(NR - 1);
	for (unsigned int i = 0; i < NR - 1; i++) {
		assert_int_equal(w.streams[i].ret, -1);
		assert_int_equal(w.streams[i].err.code, CODE_ABORTED);
	}
	assert_int_equal(atomic_load(&w.done), 0);
	/* and so does who comes later */
	run(&w.streams[NR - 1]);
	assert_int_equal(w.streams[NR - 1].ret, -1);
}

static void another_round_is_refused(void **state)
{
	start(1);
	usleep(LATE_US / 4);
	w.streams[2].first = 2;
	atomic_store(&w.brought[1], NR);
	run(&w.streams[2]);
	assert_int_equal(w.streams[2].ret, -1);
	assert_int_equal(w.streams[2].err.code, CODE_PEER);
	assert_non_null(strstr(w.streams[2].err.what, "memory stream 3"));
	barrier_fail(&w.barrier);
	join(1);
	assert_int_equal(atomic_load(&w.done), 0);
}

/* Whoever tells of it first tells the reason. */
static void all_have_the_reason_of_the_last_one(void **state)
{
	w.fails = true;
	start(NR);
	join(NR);
	for (unsigned int i = 0; i < NR; i++) {
		assert_int_equal(w.streams[i].ret, -1);
		assert_string_equal(w.streams[i].err.what, "cannot acknowledge");
	}
}

#define BARRIER_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARRIER_TEST(nobody_goes_on_before_the_late_one),
		BARRIER_TEST(each_round_is_a_barrier),
		BARRIER_TEST(who_waits_for_one_that_died_comes_back),
		BARRIER_TEST(another_round_is_refused),
		BARRIER_TEST(all_have_the_reason_of_the_last_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
