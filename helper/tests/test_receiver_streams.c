// SPDX-License-Identifier: GPL-2.0
/* Frames of two memory streams, whatever a source sends by which: the order between rounds, and marks of all streams. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "dest/receiver.h"
#include "dest/spaces.h"
#include "tests/mm_hooks.h"
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BASE	0x7f0000000000UL
#define P	PAGE_BYTES
#define AT(page)	(BASE + (page) * P)
#define MM	7
#define PID	4711
#define NR	2
#define LATE_US	100000

/** struct stream - a receiver with its thread, and the source's end of its connection */
struct stream {
	struct receiver receiver;
	struct conn conn, source;
	struct error err;
	int ret;
	pthread_t thread;
	bool runs;
};

static struct {
	struct objects objects;
	struct mm *mm;
	struct barrier barrier;
	struct stream streams[NR];
	atomic_uint rounds, finals;
	atomic_ulong lost;
} w;

static int gate(void *ctx, uint32_t round, struct error *err)
{
	return 0;
}

static int on_round(void *ctx, uint32_t round, struct error *err)
{
	atomic_fetch_add(&w.rounds, 1);
	return 0;
}

static int on_final(void *ctx, uint64_t have, uint64_t lack, struct error *err)
{
	struct page_set lazy;
	int ret;

	page_set_init(&lazy);
	ret = page_set_add(&lazy, AT(0), 10, err) || mm_seal(w.mm, &lazy, err) ? -1 : 0;
	page_set_destroy(&lazy);
	atomic_fetch_add(&w.finals, 1);
	return ret;
}

static void on_lost(void *ctx, const struct mm *mm, uint64_t nr_pages)
{
	atomic_fetch_add(&w.lost, nr_pages);
}

static int set_up(void **state)
{
	const struct mirror_range range = { AT(0), AT(100) };
	struct error err = { 0 };

	memset(&w, 0, sizeof(w));
	barrier_init(&w.barrier, NR);
	objects_init(&w.objects, &no_mm_hooks, NULL, NULL);
	w.mm = objects_add_mm(&w.objects, MM, PID, &err);
	if (!w.mm || mm_announce(w.mm, &range, 1, &err))
		return -1;
	for (unsigned int i = 0; i < NR; i++) {
		struct stream *stream = &w.streams[i];
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			return -1;
		stream->conn = (struct conn){ .fd = pair[0] };
		stream->source = (struct conn){ .fd = pair[1] };
		stream->receiver = (struct receiver){
			.conn = &stream->conn, .objects = &w.objects, .stream = i, .barrier = &w.barrier,
			.hooks = { .gate = gate, .round = on_round, .final = on_final, .lost = on_lost },
		};
	}
	return 0;
}

static void *receive(void *arg)
{
	struct stream *stream = arg;

	stream->ret = receiver_run(&stream->receiver, &stream->err);
	if (stream->ret)
		barrier_fail(&w.barrier);
	return NULL;
}

static void start(void)
{
	for (unsigned int i = 0; i < NR; i++) {
		w.streams[i].runs = true;
		assert_int_equal(pthread_create(&w.streams[i].thread, NULL, receive, &w.streams[i]), 0);
	}
}

static void finish(void)
{
	for (unsigned int i = 0; i < NR; i++)
		conn_close(&w.streams[i].source);
	for (unsigned int i = 0; i < NR; i++)
		if (w.streams[i].runs)
			pthread_join(w.streams[i].thread, NULL);
	for (unsigned int i = 0; i < NR; i++)
		w.streams[i].runs = false;
}

static int tear_down(void **state)
{
	barrier_fail(&w.barrier);
	finish();
	for (unsigned int i = 0; i < NR; i++)
		conn_close(&w.streams[i].conn);
	objects_destroy(&w.objects);
	barrier_destroy(&w.barrier);
	return 0;
}

static void page(unsigned int stream, uint32_t round, uint64_t number, uint8_t fill)
{
	struct error err = { 0 };
	uint8_t data[P];

	memset(data, fill, P);
	assert_int_equal(frame_send_copy(&w.streams[stream].source, FRAME_COOKIE(round, MM), AT(number), 1, data, &err), 0);
}

static void mark(unsigned int stream, enum frame_kind kind, uint32_t round, uint32_t object)
{
	struct error err = { 0 };

	assert_int_equal(frame_send(&w.streams[stream].source, kind, FRAME_COOKIE(round, object), NULL, 0, &err), 0);
}

static void list(unsigned int stream, enum frame_kind kind, uint32_t round, uint64_t number, uint32_t nr)
{
	const struct splice_vm_run run = { .addr = AT(number), .nr_pages = nr };
	struct error err = { 0 };

	assert_int_equal(frame_send(&w.streams[stream].source, kind, FRAME_COOKIE(round, MM), &run, 1, &err), 0);
}

static uint8_t stored(uint64_t number)
{
	struct error err = { 0 };
	uint8_t data[P];

	assert_true(page_set_has(&w.mm->mirror.have, AT(number)));
	assert_int_equal(mirror_read(&w.mm->mirror, AT(number), 1, data, &err), 0);
	return data[0];
}

/*
 * A page of round 2 is there over the second stream when the first one, which is late, brings the same page of round 1: a
 * source that does not wait, and that changes streams between rounds.
 */
static void play_late_page(void)
{
	mark(1, FRAME_ROUND, 1, FRAME_ALL_OBJECTS);
	page(1, 2, 3, 22);
	start();
	usleep(LATE_US);
	assert_int_equal(atomic_load(&w.rounds), w.streams[1].receiver.barrier ? 0 : 1);
	page(0, 1, 3, 11);
	mark(0, FRAME_ROUND, 1, MM);
	mark(0, FRAME_ROUND, 2, MM);
	mark(1, FRAME_ROUND, 2, FRAME_ALL_OBJECTS);
	finish();
}

static void a_round_waits_for_the_late_stream(void **state)
{
	play_late_page();
	for (unsigned int i = 0; i < NR; i++)
		assert_int_equal(w.streams[i].ret, 0);
	assert_int_equal(atomic_load(&w.rounds), 2);
	assert_int_equal(stored(3), 22);
}

/* What the test above is there for: without the barrier the old page comes last. */
static void control_without_a_barrier_the_old_page_stays(void **state)
{
	w.streams[0].receiver.barrier = w.streams[1].receiver.barrier = NULL;
	play_late_page();
	assert_int_equal(w.streams[0].ret, 0);
	assert_int_equal(stored(3), 11);
}

/* One stream in FINAL says nothing of the pages that the other one has. */
static void final_waits_for_all_streams(void **state)
{
	list(0, FRAME_POPULATED, 1, 0, 10);
	mark(0, FRAME_FINAL, 1, MM);
	start();
	usleep(LATE_US);
	assert_int_equal(atomic_load(&w.finals), 0);
	page(1, 1, 4, 44);
	mark(1, FRAME_FINAL, 1, FRAME_ALL_OBJECTS);
	finish();
	assert_int_equal(atomic_load(&w.finals), 1);
	assert_int_equal(stored(4), 44);
	assert_int_equal(w.mm->wanted.pages.nr, 9);
}

static void reach_final(void)
{
	list(0, FRAME_POPULATED, 1, 0, 10);
	mark(0, FRAME_FINAL, 1, MM);
	mark(1, FRAME_FINAL, 1, FRAME_ALL_OBJECTS);
}

/* Nothing is asked for that may be on its way over the other stream. */
static void pushed_counts_when_all_have_said_it(void **state)
{
	reach_final();
	mark(0, FRAME_PUSHED, 1, MM);
	start();
	usleep(LATE_US);
	mm_lock(w.mm);
	assert_false(w.mm->pushed);
	assert_int_equal(w.mm->wanted.nr_requests, 0);
	mm_unlock(w.mm);
	mark(1, FRAME_PUSHED, 1, MM);
	finish();
	assert_true(w.mm->pushed);
	assert_int_equal(w.mm->wanted.nr_requests, 1);
}

/* A process was killed at the source: its pages on the other stream are not lost. */
static void ended_waits_for_the_other_stream(void **state)
{
	reach_final();
	mark(0, FRAME_ENDED, 1, MM);
	mark(0, FRAME_PUSHED, 1, MM);
	start();
	usleep(LATE_US);
	assert_int_equal(atomic_load(&w.lost), 0);
	page(1, 1, 5, 55);
	mark(1, FRAME_PUSHED, 1, MM);
	finish();
	assert_int_equal(atomic_load(&w.lost), 9);
	assert_int_equal(stored(5), 55);
}

/* A stream that breaks ends the wait of the other one. */
static void a_stream_that_dies_ends_the_wait(void **state)
{
	mark(1, FRAME_ROUND, 1, FRAME_ALL_OBJECTS);
	start();
	usleep(LATE_US);
	assert_int_equal(write(w.streams[0].source.fd, "x", 1), 1);
	finish();
	assert_int_equal(w.streams[0].ret, -1);
	assert_int_equal(w.streams[1].ret, -1);
	assert_int_equal(atomic_load(&w.rounds), 0);
}

static void refused_over(unsigned int stream)
{
	start();
	finish();
	assert_int_equal(w.streams[stream].ret, -1);
	assert_int_equal(w.streams[stream].err.code, CODE_PEER);
}

static void the_first_stream_says_no_end_of_all(void **state)
{
	mark(0, FRAME_ROUND, 1, FRAME_ALL_OBJECTS);
	refused_over(0);
}

static void other_streams_say_no_end_of_one(void **state)
{
	mark(1, FRAME_FINAL, 1, MM);
	refused_over(1);
}

static void pushed_is_said_once_a_stream(void **state)
{
	reach_final();
	mark(1, FRAME_PUSHED, 1, MM);
	mark(1, FRAME_PUSHED, 1, MM);
	refused_over(1);
}

static void a_round_that_does_not_run_is_refused(void **state)
{
	mark(1, FRAME_ROUND, 2, FRAME_ALL_OBJECTS);
	refused_over(1);
}

#define STREAMS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STREAMS_TEST(a_round_waits_for_the_late_stream),
		STREAMS_TEST(control_without_a_barrier_the_old_page_stays),
		STREAMS_TEST(final_waits_for_all_streams),
		STREAMS_TEST(pushed_counts_when_all_have_said_it),
		STREAMS_TEST(ended_waits_for_the_other_stream),
		STREAMS_TEST(a_stream_that_dies_ends_the_wait),
		STREAMS_TEST(the_first_stream_says_no_end_of_all),
		STREAMS_TEST(other_streams_say_no_end_of_one),
		STREAMS_TEST(pushed_is_said_once_a_stream),
		STREAMS_TEST(a_round_that_does_not_run_is_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
