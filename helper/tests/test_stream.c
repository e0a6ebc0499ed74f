// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "pages/page_set.h"
#include "tests/conn_fd.h"
#include "wire/conn.h"
#include "wire/stream.h"

#define RUN(page, nr)	{ .addr = (uint64_t)(page) << PAGE_SHIFT, .nr_pages = nr }

struct pair {
	int fd[2];
};

static int setup(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	*state = pair;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair->fd);
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	close(pair->fd[0]);
	close(pair->fd[1]);
	free(pair);
	return 0;
}

static void lists_come_through(void **state)
{
	const struct splice_vm_run runs[] = { RUN(1, 2), RUN(3, 1), RUN(0x7ffffffff, 1) };
	struct pair *pair = *state;
	struct frame frame = { 0 };
	struct error err = { 0 };

	assert_int_equal(frame_send(CONN(pair->fd[0]), FRAME_STALE, FRAME_COOKIE(7, 42), runs, 3, &err), 0);
	assert_int_equal(frame_send(CONN(pair->fd[0]), FRAME_ROUND, FRAME_COOKIE(8, 42), NULL, 0, &err), 0);
	assert_int_equal(frame_recv(CONN(pair->fd[1]), 1000, &frame, &err), 1);
	assert_int_equal(frame.kind, FRAME_STALE);
	assert_int_equal(frame.nr_runs, 3);
	assert_int_equal(frame.nr_pages, 4);
	assert_int_equal(FRAME_ROUND_OF(frame.cookie), 7);
	assert_int_equal(FRAME_OBJECT_OF(frame.cookie), 42);
	assert_memory_equal(frame.runs, runs, sizeof(runs));
	assert_int_equal(frame_recv(CONN(pair->fd[1]), 1000, &frame, &err), 1);
	assert_int_equal(frame.kind, FRAME_ROUND);
	assert_int_equal(frame.nr_runs, 0);
	shutdown(pair->fd[0], SHUT_WR);
	assert_int_equal(frame_recv(CONN(pair->fd[1]), 1000, &frame, &err), 0);
	assert_false(error_is_set(&err));
	frame_free(&frame);
}

static void long_lists_are_split(void **state)
{
	enum { NR = 1200 };
	struct splice_vm_run *runs = calloc(NR, sizeof(*runs));
	struct pair *pair = *state;
	struct frame frame = { 0 };
	struct error err = { 0 };
	uint32_t got = 0;

	for (uint32_t i = 0; i < NR; i++) {
		runs[i] = (struct splice_vm_run)RUN(2 * i, 1);
		runs[i].flags = SPLICE_VM_RUN_DROPPED;	/* not for the wire */
	}
	assert_int_equal(frame_send(CONN(pair->fd[0]), FRAME_DROPPED, 1, runs, NR, &err), 0);
	while (got < NR) {
		assert_int_equal(frame_recv(CONN(pair->fd[1]), 1000, &frame, &err), 1);
		for (uint32_t i = 0; i < frame.nr_runs; i++) {
			assert_int_equal(frame.runs[i].addr, runs[got].addr);
			assert_int_equal(frame.runs[i].flags, 0);
			got++;
		}
	}
	frame_free(&frame);
	free(runs);
}

static void copies_carry_data(void **state)
{
	struct pair *pair = *state;
	struct frame frame = { 0 };
	struct error err = { 0 };
	char out[2 * PAGE_BYTES], in[2 * PAGE_BYTES];

	memset(out, 0x5a, sizeof(out));
	assert_int_equal(frame_send_copy(CONN(pair->fd[0]), 9, 0x10000, 2, out, &err), 0);
	assert_int_equal(frame_recv(CONN(pair->fd[1]), 1000, &frame, &err), 1);
	assert_int_equal(frame.kind, FRAME_PAGES);
	assert_int_equal(frame.nr_pages, 2);
	assert_int_equal(conn_read(CONN(pair->fd[1]), in, sizeof(in), 1000, &err), 0);
	assert_memory_equal(in, out, sizeof(in));
	frame_free(&frame);
}

/* What a stranger, or a bug of the other side, may send. */
static void refused(struct pair *pair, const struct splice_vm_batch *head,
		    const struct splice_vm_run *runs, uint32_t nr_runs)
{
	struct frame frame = { 0 };
	struct error err = { 0 };

	assert_int_equal(conn_write(CONN(pair->fd[0]), head, sizeof(*head), 1000, &err), 0);
	if (nr_runs)
		assert_int_equal(conn_write(CONN(pair->fd[0]), runs, nr_runs * sizeof(*runs), 1000, &err), 0);
	assert_int_equal(frame_recv(CONN(pair->fd[1]), 1000, &frame, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	frame_free(&frame);
	/* a stream that was refused is of no further use: start anew */
	close(pair->fd[0]);
	close(pair->fd[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair->fd), 0);
}

static void malformed_heads(void **state)
{
	static const struct splice_vm_batch heads[] = {
		{ .magic = 0 },
		{ .magic = 0x20544547 },
		{ .magic = FRAME_PAGES },
		{ .magic = FRAME_PAGES, .nr_runs = 513, .nr_pages = 513 },
		{ .magic = FRAME_PAGES, .nr_runs = 1, .nr_pages = 513 },
		{ .magic = FRAME_PAGES, .nr_runs = ~0U, .nr_pages = 1 },
		{ .magic = FRAME_ZERO },
		{ .magic = FRAME_DROPPED, .nr_runs = FRAME_MAX_RUNS + 1 },
		{ .magic = FRAME_POPULATED, .nr_runs = ~0U },
		{ .magic = FRAME_REQUEST, .nr_runs = 0 },
		{ .magic = FRAME_ROUND, .nr_runs = 1 },
		{ .magic = FRAME_FINAL, .nr_pages = 1 },
		{ .magic = FRAME_PUSHED, .reserved = 1 },
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		refused(*state, &heads[i], NULL, 0);
}

static void malformed_runs(void **state)
{
	static const struct {
		struct splice_vm_batch head;
		struct splice_vm_run runs[2];
	} cases[] = {
		{ { .magic = FRAME_ZERO, .nr_runs = 2 }, { RUN(5, 1), RUN(5, 1) } },
		{ { .magic = FRAME_ZERO, .nr_runs = 2 }, { RUN(5, 2), RUN(6, 1) } },
		{ { .magic = FRAME_ZERO, .nr_runs = 2 }, { RUN(6, 1), RUN(5, 1) } },
		{ { .magic = FRAME_ZERO, .nr_runs = 2 }, { RUN(6, 1), RUN(8, 0) } },
		{ { .magic = FRAME_ZERO, .nr_runs = 2 }, { RUN(6, 1), { .addr = 0x9001, .nr_pages = 1 } } },
		{ { .magic = FRAME_ZERO, .nr_runs = 2 },
		  { RUN(6, 1), { .addr = 0x9000, .nr_pages = 1, .flags = 1 } } },
		{ { .magic = FRAME_ZERO, .nr_runs = 2 }, { RUN(6, 1), RUN(0x800000000, 1) } },
		{ { .magic = FRAME_ZERO, .nr_runs = 2 }, { RUN(6, 1), RUN(0x7ffffffff, 2) } },
		{ { .magic = FRAME_ZERO, .nr_runs = 2 }, { RUN(6, 1), RUN(0x7f0000000, ~0U) } },
		{ { .magic = FRAME_ZERO, .nr_runs = 2 },
		  { RUN(6, 1), { .addr = ~0xfffUL, .nr_pages = 2 } } },
		{ { .magic = FRAME_PAGES, .nr_runs = 2, .nr_pages = 3 }, { RUN(6, 1), RUN(7, 1) } },
		{ { .magic = FRAME_PAGES, .nr_runs = 2, .nr_pages = 1 }, { RUN(6, 1), RUN(7, 1) } },
		{ { .magic = FRAME_PAGES, .nr_runs = 2, .nr_pages = 1 },
		  { RUN(6, 1), RUN(0x7f0000000, ~0U) } },
		{ { .magic = FRAME_STALE, .nr_runs = 2, .nr_pages = 2 }, { RUN(6, 1), RUN(7, 1) } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		refused(*state, &cases[i].head, cases[i].runs, 2);
}

static void cut_off(void **state)
{
	const struct splice_vm_batch head = { .magic = FRAME_ZERO, .nr_runs = 2 };
	const struct splice_vm_run run = RUN(1, 1);

	/* within the head, behind it, within the runs */
	for (size_t bytes = 1; bytes < sizeof(head) + sizeof(run); bytes += 9) {
		struct pair *pair = *state;
		struct frame frame = { 0 };
		struct error err = { 0 };
		char buf[sizeof(head) + sizeof(run)];

		memcpy(buf, &head, sizeof(head));
		memcpy(buf + sizeof(head), &run, sizeof(run));
		assert_int_equal(conn_write(CONN(pair->fd[0]), buf, bytes, 1000, &err), 0);
		shutdown(pair->fd[0], SHUT_WR);
		assert_int_equal(frame_recv(CONN(pair->fd[1]), 1000, &frame, &err), -1);
		assert_int_equal(err.code, CODE_NETWORK);
		frame_free(&frame);
		close(pair->fd[0]);
		close(pair->fd[1]);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair->fd), 0);
	}
}

/* Bytes at random must never do more than be refused. */
static void noise(void **state)
{
	static const uint32_t magics[] = {
		FRAME_PAGES, FRAME_ZERO, FRAME_DROPPED, FRAME_COPY, FRAME_ALSO, FRAME_STALE, FRAME_POPULATED,
		FRAME_ROUND, FRAME_FINAL, FRAME_PUSHED, FRAME_REQUEST, FRAME_LOST, FRAME_ENDED,
	};
	struct frame frame = { 0 };

	srand(7);
	for (int i = 0; i < 2000; i++) {
		struct pair *pair = *state;
		struct error err = { 0 };
		uint32_t buf[64];

		for (size_t j = 0; j < 64; j++)
			buf[j] = rand() % 4 ? (uint32_t)(rand() % 8) << (rand() % 2 ? 12 : 0) :
				 (uint32_t)rand();
		buf[0] = magics[rand() % (sizeof(magics) / sizeof(*magics))];
		buf[3] = 0;
		assert_int_equal(conn_write(CONN(pair->fd[0]), buf, sizeof(buf), 1000, &err), 0);
		shutdown(pair->fd[0], SHUT_WR);
		if (frame_recv(CONN(pair->fd[1]), 1000, &frame, &err) == 1)
			assert_true(frame.nr_runs <= FRAME_MAX_RUNS);
		else
			assert_true(error_is_set(&err));
		close(pair->fd[0]);
		close(pair->fd[1]);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair->fd), 0);
	}
	frame_free(&frame);
}

static void silence_is_told(void **state)
{
	struct pair *pair = *state;
	struct frame frame = { 0 };
	struct error err = { 0 };

	assert_int_equal(frame_recv(CONN(pair->fd[1]), 20, &frame, &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lists_come_through), TEST(long_lists_are_split), TEST(copies_carry_data),
		TEST(malformed_heads), TEST(malformed_runs), TEST(cut_off), TEST(noise),
		TEST(silence_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
