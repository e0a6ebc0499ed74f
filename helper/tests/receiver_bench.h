/* SPDX-License-Identifier: GPL-2.0 */
/* A receiver of one connection, and the source's end of it. Included after cmocka.h. */
#ifndef MIGRATE_TESTS_RECEIVER_BENCH_H
#define MIGRATE_TESTS_RECEIVER_BENCH_H

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "dest/receiver.h"
#include "tests/conn_fd.h"
#include "tests/mm_hooks.h"

#define BASE	0x7f0000000000UL
#define P	PAGE_BYTES
#define AT(page)	(BASE + (page) * P)
#define MM	7	/* id of the mm */
#define PID	4711

/* A receiver of one connection, and the source's end of it. */
struct bench {
	struct objects objects;
	struct mm *mm;
	struct receiver receiver;
	struct conn conn;
	int source;
	uint32_t gated, acked, round, object;
	uint64_t lost;
	bool final, seals;
	struct place place;
	struct error err;
};

static inline int gate(void *ctx, uint32_t round, struct error *err)
{
	struct bench *bench = ctx;

	bench->gated = round;
	return 0;
}

static inline int on_round(void *ctx, uint32_t round, struct error *err)
{
	struct bench *bench = ctx;

	bench->acked = round;
	return 0;
}

/* The images are there, and leave ten pages to frames. */
static inline int seal(struct bench *bench)
{
	struct page_set lazy;
	int ret;

	page_set_init(&lazy);
	assert_int_equal(page_set_add(&lazy, AT(0), 10, &bench->err), 0);
	ret = mm_seal(bench->mm, &lazy, &bench->err);
	page_set_destroy(&lazy);
	return ret;
}

static inline int on_final(void *ctx, uint64_t have, uint64_t lack, struct error *err)
{
	struct bench *bench = ctx;

	bench->final = true;
	return bench->seals ? seal(bench) : 0;
}

static inline void on_lost(void *ctx, const struct mm *mm, uint64_t nr_pages)
{
	struct bench *bench = ctx;

	assert_int_equal(mm->pid, PID);
	bench->lost += nr_pages;
}

static inline int set_up(void **state)
{
	static struct bench bench;
	const struct mirror_range ranges[] = { { AT(0), AT(100) }, { AT(200), AT(300) } };
	struct error err = { 0 };
	int pair[2];

	memset(&bench, 0, sizeof(bench));
	objects_init(&bench.objects, &no_mm_hooks, NULL, &bench.place);
	bench.mm = objects_add_mm(&bench.objects, MM, PID, &err);
	if (!bench.mm || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ||
	    mm_announce(bench.mm, ranges, 2, &err))
		return -1;
	bench.source = pair[1];
	bench.round = 1;
	bench.object = MM;
	bench.conn = (struct conn){ .fd = pair[0] };
	bench.receiver = (struct receiver){
		.conn = &bench.conn, .objects = &bench.objects, .place = &bench.place,
		.hooks = { .gate = gate, .round = on_round, .final = on_final,
			   .lost = on_lost, .ctx = &bench },
	};
	*state = &bench;
	return 0;
}

static inline int tear_down(void **state)
{
	struct bench *bench = *state;

	conn_close(&bench->conn);
	if (bench->source >= 0)
		close(bench->source);
	objects_destroy(&bench->objects);
	return 0;
}

static inline void list(struct bench *bench, enum frame_kind kind, uint64_t page, uint32_t nr)
{
	struct splice_vm_run run = { .addr = AT(page), .nr_pages = nr };
	struct error err = { 0 };

	assert_int_equal(frame_send(CONN(bench->source), kind, FRAME_COOKIE(bench->round, bench->object), &run, nr ? 1 : 0,
				    &err), 0);
}

static inline void pages(struct bench *bench, uint64_t page, uint32_t nr, uint8_t fill)
{
	uint8_t data[4 * P];
	struct error err = { 0 };

	assert_true(nr <= 4);
	memset(data, fill, sizeof(data));
	assert_int_equal(frame_send_copy(CONN(bench->source), FRAME_COOKIE(bench->round, bench->object), AT(page), nr, data,
					 &err), 0);
}

/* Let it receive all that was sent, to the end of the stream. */
static inline int run(struct bench *bench)
{
	close(bench->source);
	bench->source = -1;
	return receiver_run(&bench->receiver, &bench->err);
}

static inline void refused(struct bench *bench)
{
	assert_int_equal(run(bench), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
}

/* The byte of which the page is made that is in the mirror. */
static inline uint8_t stored(struct bench *bench, uint64_t page)
{
	uint8_t data[P];
	struct error err = { 0 };

	assert_true(page_set_has(&bench->mm->mirror.have, AT(page)));
	assert_int_equal(mirror_read(&bench->mm->mirror, AT(page), 1, data, &err), 0);
	assert_int_equal(data[0], data[P - 1]);
	return data[0];
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
