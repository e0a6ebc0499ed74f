// SPDX-License-Identifier: GPL-2.0
/* Pages and lists over several connections: each address over one of them, and marks over all. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/streams.h"
#include "tests/fake_backend.h"

#define OBJECT	5
#define ROUND	3
#define NR	3
#define STRIPE	(STREAMS_STRIPE / PAGE_BYTES)
#define SEEN	64

/**
 * struct end - the destination's end of one stream
 * @frames: heads of the frames that came, @nr of them, with their first run; @pages: in PAGES frames
 */
struct end {
	struct conn conn;
	struct frame frames[SEEN];
	struct splice_vm_run first[SEEN];
	size_t nr;
	uint64_t pages;
	bool strays;
	unsigned int number;
	pthread_t thread;
};

static struct {
	struct fake fake;
	struct source_mm mm;
	struct conn conns[NR];
	struct end ends[NR];
	struct sender sender;
	struct streams streams;
	struct error err;
} w;

static void look(struct end *end, const struct frame *frame)
{
	static __thread uint8_t page[PAGE_BYTES];
	struct error err = { 0 };

	if (end->nr < SEEN) {
		end->frames[end->nr] = *frame;
		end->first[end->nr++] = frame->nr_runs ? frame->runs[0] : (struct splice_vm_run){ 0 };
	}
	for (uint32_t i = 0; i < frame->nr_runs; i++)
		for (uint64_t n = 0; n < frame->runs[i].nr_pages; n++) {
			uint64_t addr = frame->runs[i].addr + n * PAGE_BYTES, number;

			end->strays |= addr / STREAMS_STRIPE % NR != end->number;
			if (frame->kind != FRAME_PAGES)
				continue;
			end->pages++;
			conn_read(&end->conn, page, PAGE_BYTES, 0, &err);
			memcpy(&number, page, sizeof(number));
			end->strays |= AT(number) != addr;
		}
}

static void *drain(void *arg)
{
	struct end *end = arg;
	struct frame frame = { 0 };
	struct error err = { 0 };

	while (frame_recv(&end->conn, -1, &frame, &err) == 1)
		look(end, &frame);
	frame_free(&frame);
	return NULL;
}

static int set_up(void **state)
{
	memset(&w, 0, sizeof(w));
	fake_init(&w.fake);
	source_mm_init(&w.mm, OBJECT, getpid());
	w.mm.backend = &w.fake.backend;
	for (unsigned int i = 0; i < NR; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			return -1;
		w.conns[i] = (struct conn){ .fd = pair[0] };
		w.ends[i].conn = (struct conn){ .fd = pair[1] };
		w.ends[i].number = i;
		if (pthread_create(&w.ends[i].thread, NULL, drain, &w.ends[i]))
			return -1;
	}
	if (sender_init(&w.sender, &w.conns[0], true, &w.err) ||
	    streams_init(&w.streams, w.conns, NR, &w.sender, &w.err))
		return -1;
	w.sender.round = ROUND;
	return 0;
}

/* All that was sent has come then. */
static void finish(void)
{
	for (unsigned int i = 0; i < NR; i++) {
		conn_shutdown(&w.conns[i]);
		if (w.ends[i].thread)
			pthread_join(w.ends[i].thread, NULL);
		w.ends[i].thread = 0;
	}
}

static int tear_down(void **state)
{
	finish();
	streams_destroy(&w.streams);
	sender_destroy(&w.sender);
	source_mm_destroy(&w.mm);
	for (unsigned int i = 0; i < NR; i++) {
		conn_close(&w.conns[i]);
		conn_close(&w.ends[i].conn);
	}
	return 0;
}

static int send_run(uint64_t page, uint32_t nr)
{
	const struct splice_vm_run run = run_of(page, nr, 0);

	return sender_pages(&w.sender, &w.mm, &run, 1, &w.err);
}

/* Each page once, over the stream of its stripe, and all streams have carried some. */
static void pages_go_by_stripes(void **state)
{
	const uint32_t nr = 4 * STRIPE;
	uint64_t pages = 0, bytes = 0;

	assert_int_equal(send_run(100, nr), 0);
	finish();
	for (unsigned int i = 0; i < NR; i++) {
		assert_false(w.ends[i].strays);
		assert_true(w.ends[i].pages >= STRIPE);
		assert_int_equal(w.ends[i].pages * PAGE_BYTES, w.streams.list[i].sender.bytes);
		pages += w.ends[i].pages;
		bytes += w.streams.list[i].sender.bytes;
	}
	assert_int_equal(pages, nr);
	assert_int_equal(w.sender.pages, nr);
	assert_int_equal(w.sender.bytes, bytes);
	assert_int_equal(w.mm.dest_current.nr, nr);
	assert_int_equal(FRAME_ROUND_OF(w.ends[1].frames[0].cookie), ROUND);
	assert_int_equal(FRAME_OBJECT_OF(w.ends[1].frames[0].cookie), OBJECT);
}

/* What drops a page is in front of the page that comes next, on the same connection. */
static void lists_go_with_their_pages(void **state)
{
	const struct splice_vm_run gone = run_of(0, 3 * STRIPE, 0);

	assert_int_equal(sender_list(&w.sender, &w.mm, FRAME_DROPPED, &gone, 1, &w.err), 0);
	assert_int_equal(send_run(0, 3 * STRIPE), 0);
	finish();
	for (unsigned int i = 0; i < NR; i++) {
		assert_false(w.ends[i].strays);
		assert_int_equal(w.ends[i].frames[0].kind, FRAME_DROPPED);
		assert_int_equal(w.ends[i].frames[0].nr_pages, STRIPE);
		assert_int_equal(w.ends[i].frames[1].kind, FRAME_PAGES);
	}
}

static void marks_of_all_are_said_on_each(void **state)
{
	assert_int_equal(sender_mark(&w.sender, &w.mm, FRAME_ROUND, &w.err), 0);
	assert_int_equal(sender_end(&w.sender, FRAME_ROUND, &w.err), 0);
	assert_int_equal(sender_mark(&w.sender, &w.mm, FRAME_PUSHED, &w.err), 0);
	finish();
	for (unsigned int i = 0; i < NR; i++) {
		assert_int_equal(w.ends[i].nr, 2);
		assert_int_equal(w.ends[i].frames[0].kind, FRAME_ROUND);
		assert_int_equal(w.ends[i].frames[0].cookie, FRAME_COOKIE(ROUND, i ? FRAME_ALL_OBJECTS : OBJECT));
		assert_int_equal(w.ends[i].frames[1].kind, FRAME_PUSHED);
		assert_int_equal(FRAME_OBJECT_OF(w.ends[i].frames[1].cookie), OBJECT);
	}
	assert_true(atomic_load(&w.mm.pushed));
}

/* The others do their work, and the call fails for the one. */
static void one_that_dies_fails_the_call(void **state)
{
	conn_shutdown(&w.ends[1].conn);
	pthread_join(w.ends[1].thread, NULL);
	w.ends[1].thread = 0;
	assert_int_equal(send_run(0, 3 * STRIPE), -1);
	assert_int_equal(w.err.code, CODE_NETWORK);
	finish();
	assert_int_equal(w.ends[0].pages + w.ends[2].pages, 2 * STRIPE);
	assert_int_equal(w.mm.dest_current.nr, 2 * STRIPE);
}

/* A process that was killed is no lost connection; after COMMIT each stream that finds it says so. */
static void ended_goes_over_the_stream_that_finds_it(void **state)
{
	w.fake.flags = SPLICE_VM_RUN_GONE;
	w.sender.tells_lost = true;
	assert_int_equal(send_run(0, 3 * STRIPE), 0);
	finish();
	for (unsigned int i = 0; i < NR; i++)
		assert_int_equal(w.ends[i].frames[0].kind, FRAME_LOST);
	assert_int_equal(w.sender.lost, 3 * STRIPE);
}

/* What goes over one connection goes as it always did. */
static void one_connection_has_no_streams(void **state)
{
	struct streams none = { .nr = 0 };
	struct sender sender;

	assert_int_equal(sender_init(&sender, &w.conns[0], true, &w.err), 0);
	assert_int_equal(streams_init(&none, w.conns, 1, &sender, &w.err), 0);
	assert_null(sender.streams);
	assert_int_equal(sender_width(&sender), 1);
	assert_ptr_equal(sender_at(&sender, 3 * STREAMS_STRIPE), &sender);
	assert_int_equal(sender_pages_at(&sender, 0, 100000), 100000);
	streams_destroy(&none);
	sender_destroy(&sender);
}

#define STREAMS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STREAMS_TEST(pages_go_by_stripes),
		STREAMS_TEST(lists_go_with_their_pages),
		STREAMS_TEST(marks_of_all_are_said_on_each),
		STREAMS_TEST(one_that_dies_fails_the_call),
		STREAMS_TEST(ended_goes_over_the_stream_that_finds_it),
		STREAMS_TEST(one_connection_has_no_streams),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
