// SPDX-License-Identifier: GPL-2.0
/* Frames that say what is lost at the source: when they may come, and what the destination asks for then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "dest/late_pages.h"
#include "tests/receiver_bench.h"

/* The restored program lacks ten pages. */
static void restore(struct bench *bench)
{
	bench->seals = true;
	list(bench, FRAME_POPULATED, 0, 10);
	list(bench, FRAME_FINAL, 0, 0);
}

static void test_lost(void **state)
{
	struct bench *bench = *state;

	restore(bench);
	pages(bench, 2, 1, 1);
	list(bench, FRAME_LOST, 1, 3);
	/* what is lost is lost once, and nobody waits for more */
	list(bench, FRAME_LOST, 1, 3);
	list(bench, FRAME_LOST, 50, 9);
	list(bench, FRAME_PUSHED, 0, 0);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->lost, 2);
	assert_int_equal(bench->mm->lost.nr, 2);
	assert_int_equal(bench->mm->wanted.pages.nr, 7);
	assert_false(bench->mm->ended);
}

/* Behind PUSHED it is asked once more for what had been asked for: the source may have kept silent. */
static void test_asked_again(void **state)
{
	struct bench *bench = *state;
	struct run *requests;
	size_t nr;

	restore(bench);
	assert_int_equal(run(bench), 0);
	assert_int_equal(mm_request(bench->mm, AT(4), 2, &bench->err), 0);
	free(wanted_requests(&bench->mm->wanted, &nr));
	assert_int_equal(nr, 1);
	assert_int_equal(late_pages_pushed(bench->mm, 0, 1, &bench->err), 1);
	requests = wanted_requests(&bench->mm->wanted, &nr);
	assert_int_equal(nr, 1);
	assert_int_equal(requests[0].nr_pages, 10);
	free(requests);
}

/* Frames over urgent begin when the program is restored. */
static void test_ended(void **state)
{
	const struct splice_vm_run run_of_ten = { .addr = AT(0), .nr_pages = 10 };
	struct bench *bench = *state;
	uint64_t have, lack;

	assert_int_equal(mm_populate(bench->mm, &run_of_ten, 1, &bench->err), 0);
	objects_final(&bench->objects, &have, &lack);
	assert_int_equal(seal(bench), 0);
	bench->mm->pushed = true;
	bench->receiver.urgent = true;
	list(bench, FRAME_ENDED, 0, 0);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->lost, 10);
	assert_int_equal(bench->mm->wanted.pages.nr, 0);
	assert_true(bench->mm->ended);
}

/* The memory connection has pages that were sent before: they are not lost. */
static void test_ended_overtakes(void **state)
{
	const struct splice_vm_run run_of_ten = { .addr = AT(0), .nr_pages = 10 };
	struct bench *bench = *state;
	uint64_t have, lack;

	assert_int_equal(mm_populate(bench->mm, &run_of_ten, 1, &bench->err), 0);
	objects_final(&bench->objects, &have, &lack);
	assert_int_equal(seal(bench), 0);
	bench->receiver.urgent = true;
	list(bench, FRAME_LOST, 0, 2);
	list(bench, FRAME_ENDED, 0, 0);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->lost, 0);
	assert_int_equal(bench->mm->wanted.pages.nr, 10);
	assert_false(bench->mm->ended);
}

static void test_lost_before_final(void **state)
{
	list(*state, FRAME_LOST, 0, 1);
	refused(*state);
}

static void test_ended_before_final(void **state)
{
	list(*state, FRAME_ENDED, 0, 0);
	refused(*state);
}

/* All lists are there, and the images are not. */
static void test_lost_before_images(void **state)
{
	list(*state, FRAME_POPULATED, 0, 1);
	list(*state, FRAME_FINAL, 0, 0);
	list(*state, FRAME_LOST, 0, 1);
	refused(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_lost), BENCH_TEST(test_asked_again), BENCH_TEST(test_ended),
		BENCH_TEST(test_ended_overtakes),
		BENCH_TEST(test_lost_before_final), BENCH_TEST(test_ended_before_final),
		BENCH_TEST(test_lost_before_images),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
