// SPDX-License-Identifier: GPL-2.0
/* The frames that a source may send, and those that end the migration. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "dest/late_pages.h"
#include "pages/sets.h"
#include "tests/receiver_bench.h"

static void test_rounds(void **state)
{
	struct bench *bench = *state;

	pages(bench, 10, 4, 1);
	pages(bench, 12, 1, 2);
	list(bench, FRAME_DROPPED, 13, 1);
	list(bench, FRAME_DROPPED, 5000, 10);
	list(bench, FRAME_ZERO, 90, 20);
	list(bench, FRAME_ROUND, 0, 0);
	list(bench, FRAME_STALE, 10, 1);
	list(bench, FRAME_POPULATED, 9, 4);
	list(bench, FRAME_FINAL, 0, 0);
	list(bench, FRAME_PUSHED, 0, 0);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->gated, RECEIVE_FROZEN);
	assert_int_equal(bench->acked, 1);
	assert_true(bench->final);
	assert_true(bench->mm->pushed);
	assert_int_equal(stored(bench, 11), 1);
	assert_int_equal(stored(bench, 12), 2);
	assert_int_equal(bench->mm->mirror.have.nr, 2);
	assert_int_equal(bench->mm->populated.nr, 4);
}

static void test_late(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };
	struct page_set lazy;

	pages(bench, 0, 1, 1);
	list(bench, FRAME_POPULATED, 0, 8);
	list(bench, FRAME_FINAL, 0, 0);
	pages(bench, 2, 2, 9);
	assert_int_equal(run(bench), 0);
	/* nobody had asked for them yet */
	assert_int_equal(bench->mm->mirror.have.nr, 1);

	page_set_init(&lazy);
	assert_int_equal(page_set_add(&lazy, AT(0), 100, &err), 0);
	assert_int_equal(mm_seal(bench->mm, &lazy, &err), 0);
	page_set_destroy(&lazy);
	assert_int_equal(bench->mm->wanted.pages.nr, 7);
	uint8_t data[4 * P];

	memset(data, 5, sizeof(data));
	assert_int_equal(late_pages_take(bench->mm, AT(6), 4, data, false, &err), 0);
	assert_int_equal(stored(bench, 7), 5);
	assert_false(page_set_has(&bench->mm->mirror.have, AT(8)));
	assert_int_equal(late_pages_take(bench->mm, AT(1), 1, NULL, true, &err), 0);
	assert_int_equal(stored(bench, 1), 0);
	assert_int_equal(bench->mm->counts.push, 2);
	assert_int_equal(bench->mm->counts.zero, 1);
	assert_int_equal(bench->mm->wanted.pages.nr, 4);
	assert_int_equal(late_pages_pushed(bench->mm, 0, 1, &err), 1);
	assert_int_equal(bench->mm->wanted.nr_requests, 1);
	assert_int_equal(bench->mm->wanted.requests[0].addr, AT(2));
	assert_int_equal(bench->mm->wanted.requests[0].nr_pages, 4);
}

static void test_outside(void **state)
{
	pages(*state, 98, 4, 1);
	refused(*state);
}

static void test_between(void **state)
{
	pages(*state, 150, 1, 1);
	refused(*state);
}

static void test_populated_outside(void **state)
{
	list(*state, FRAME_POPULATED, 99, 2);
	refused(*state);
}

static void test_request_from_source(void **state)
{
	list(*state, FRAME_REQUEST, 0, 1);
	refused(*state);
}

static void test_pushed_too_early(void **state)
{
	list(*state, FRAME_PUSHED, 0, 0);
	refused(*state);
}

static void test_list_after_final(void **state)
{
	list(*state, FRAME_FINAL, 0, 0);
	list(*state, FRAME_POPULATED, 0, 1);
	refused(*state);
}

static void test_urgent_final(void **state)
{
	struct bench *bench = *state;

	bench->receiver.urgent = true;
	list(bench, FRAME_FINAL, 0, 0);
	refused(bench);
}

static void test_rounds_go_on(void **state)
{
	struct bench *bench = *state;

	bench->round = 0;
	list(bench, FRAME_DROPPED, 0, 1);
	for (bench->round = 1; bench->round < 4; bench->round++) {
		pages(bench, 0, 1, 1);
		list(bench, FRAME_ROUND, 0, 0);
		/* found by the scan behind it */
		list(bench, FRAME_DROPPED, 0, 1);
	}
	list(bench, FRAME_POPULATED, 0, 1);
	assert_int_equal(run(bench), 0);
	assert_int_equal(bench->acked, 3);
}

static void test_round_again(void **state)
{
	struct bench *bench = *state;

	list(bench, FRAME_ROUND, 0, 0);
	list(bench, FRAME_ROUND, 0, 0);
	refused(bench);
	assert_int_equal(bench->acked, 1);
}

static void test_round_back(void **state)
{
	struct bench *bench = *state;

	list(bench, FRAME_ROUND, 0, 0);
	bench->round = 2;
	list(bench, FRAME_ROUND, 0, 0);
	bench->round = 1;
	pages(bench, 0, 1, 1);
	refused(bench);
}

static void test_round_left_out(void **state)
{
	struct bench *bench = *state;

	bench->round = 2;
	list(bench, FRAME_ROUND, 0, 0);
	refused(bench);
}

static void test_urgent_too_early(void **state)
{
	struct bench *bench = *state;

	bench->receiver.urgent = true;
	pages(bench, 0, 1, 1);
	refused(bench);
}

static void test_pushed_twice(void **state)
{
	list(*state, FRAME_FINAL, 0, 0);
	list(*state, FRAME_PUSHED, 0, 0);
	list(*state, FRAME_PUSHED, 0, 0);
	refused(*state);
}

static void test_cut_off(void **state)
{
	struct bench *bench = *state;
	struct splice_vm_batch head = { .magic = FRAME_PAGES, .nr_runs = 1, .nr_pages = 1 };

	assert_int_equal(write(bench->source, &head, sizeof(head)), sizeof(head));
	assert_int_equal(run(bench), -1);
	assert_int_equal(bench->err.code, CODE_NETWORK);
}

static void *receive_body(void *arg)
{
	struct bench *bench = arg;

	receiver_run(&bench->receiver, &bench->err);
	return NULL;
}

static void *announce_body(void *arg)
{
	const struct mirror_range range = { AT(0), AT(50) };
	struct bench *bench = arg;
	struct error err = { 0 };

	mm_announce(bench->mm, &range, 1, &err);
	return NULL;
}

/* A source that trickles bytes of a page holds up nobody, and ends when it is told to. */
static void test_trickle(void **state)
{
	const struct splice_vm_run run = { .addr = AT(60), .nr_pages = 2 };
	struct splice_vm_batch head = {
		.magic = FRAME_PAGES, .nr_runs = 1, .nr_pages = 2, .cookie = FRAME_COOKIE(1, MM),
	};
	struct bench *bench = *state;
	pthread_t receiver, announcer;
	bool announced = false;

	assert_int_equal(write(bench->source, &head, sizeof(head)), sizeof(head));
	assert_int_equal(write(bench->source, &run, sizeof(run)), sizeof(run));
	assert_int_equal(write(bench->source, "x", 1), 1);
	assert_int_equal(pthread_create(&receiver, NULL, receive_body, bench), 0);
	usleep(300000);
	assert_int_equal(pthread_create(&announcer, NULL, announce_body, bench), 0);
	for (int i = 0; i < 100 && !announced; i++) {
		assert_int_equal(write(bench->source, "x", 1), 1);
		usleep(100000);
		announced = !pthread_tryjoin_np(announcer, NULL);
	}
	assert_true(announced);
	conn_shutdown(&bench->conn);
	pthread_join(receiver, NULL);
	/* nor are its pages taken, which the new list does not have */
	assert_int_equal(bench->mm->mirror.have.nr, 0);
}

/* Whether what came since the last look counts as progress: then the time of it is a new one. */
static bool has_progress(struct place *place)
{
	return atomic_exchange(&place->progress_ms, 0) != 0;
}

static void take(struct bench *bench)
{
	struct frame frame = { 0 };
	struct error err = { 0 };

	assert_int_equal(frame_recv(&bench->conn, 0, &frame, &err), 1);
	assert_int_equal(receiver_frame(&bench->receiver, &frame, &err), 0);
	frame_free(&frame);
}

static void send_pages(struct bench *bench, uint64_t first, uint64_t nr)
{
	for (uint64_t page = first; page < first + nr; page += 4) {
		pages(bench, page, 4, 1);
		take(bench);
	}
}

static void next_round(struct bench *bench)
{
	list(bench, FRAME_ROUND, 0, 0);
	take(bench);
	bench->round++;
}

/* Who holds a place must move on: a page that comes again, or is dropped and comes again, is no step. */
static void test_progress(void **state)
{
	const struct mirror_range range = { AT(0), AT(1000) };
	struct bench *bench = *state;
	struct place *place = &bench->place;
	struct error err = { 0 };

	assert_int_equal(mm_announce(bench->mm, &range, 1, &err), 0);
	for (int i = 0; i < 512; i++) {
		send_pages(bench, 0, 4);
		if (i % 2)
			list(bench, FRAME_DROPPED, 0, 4);
		else
			list(bench, FRAME_ZERO, 500, 4);
		take(bench);
	}
	assert_false(has_progress(place));
	next_round(bench);
	send_pages(bench, 0, 512);
	assert_true(has_progress(place));
	send_pages(bench, 0, 512);
	assert_false(has_progress(place));
	/* in the next round all of them may have been written again */
	next_round(bench);
	assert_false(has_progress(place));
	send_pages(bench, 0, 512);
	assert_true(has_progress(place));
	/* while this machine restores the program, what comes takes nothing away from that time */
	place_busy(place, 1000000);
	place_came(place, PLACE_STEP);
	assert_true(atomic_load(&place->progress_ms) > clock_now_ms() + 500000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(test_rounds), BENCH_TEST(test_late), BENCH_TEST(test_outside),
		BENCH_TEST(test_between), BENCH_TEST(test_populated_outside),
		BENCH_TEST(test_request_from_source), BENCH_TEST(test_pushed_too_early),
		BENCH_TEST(test_list_after_final), BENCH_TEST(test_urgent_final),
		BENCH_TEST(test_rounds_go_on), BENCH_TEST(test_round_again),
		BENCH_TEST(test_round_back), BENCH_TEST(test_round_left_out),
		BENCH_TEST(test_urgent_too_early), BENCH_TEST(test_pushed_twice),
		BENCH_TEST(test_cut_off), BENCH_TEST(test_trickle), BENCH_TEST(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
