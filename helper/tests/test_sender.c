// SPDX-License-Identifier: GPL-2.0
/* Pages and lists onto one connection, and the source's record of what the destination has. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/sender.h"
#include "tests/conn_fd.h"
#include "tests/fake_backend.h"

#define OBJECT	5
#define ROUND	3

struct bench {
	struct fake fake;
	struct source_mm mm;
	struct conn conn, dest;
	struct sender sender;
	struct frame frame;
	struct error err;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	bench->conn = (struct conn){ .fd = pair[0] };
	bench->dest = (struct conn){ .fd = pair[1] };
	fake_init(&bench->fake);
	*state = bench;
	source_mm_init(&bench->mm, OBJECT, getpid());
	if (sender_init(&bench->sender, &bench->conn, true, &bench->err))
		return -1;
	bench->mm.backend = &bench->fake.backend;
	bench->sender.round = ROUND;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	sender_destroy(&bench->sender);
	source_mm_destroy(&bench->mm);
	conn_close(&bench->conn);
	conn_close(&bench->dest);
	frame_free(&bench->frame);
	free(bench);
	return 0;
}

static int send_run(struct bench *bench, uint64_t page, uint32_t nr)
{
	const struct splice_vm_run run = run_of(page, nr, 0);

	return sender_pages(&bench->sender, &bench->mm, &run, 1, &bench->err);
}

/* The next frame, which names the object and the round; its pages are read. */
static const struct frame *next(struct bench *bench)
{
	static uint8_t pages[8 * PAGE_BYTES];
	size_t bytes;

	assert_int_equal(frame_recv(&bench->dest, 10000, &bench->frame, &bench->err), 1);
	assert_int_equal(FRAME_OBJECT_OF(bench->frame.cookie), OBJECT);
	assert_int_equal(FRAME_ROUND_OF(bench->frame.cookie), ROUND);
	bytes = bench->frame.kind == FRAME_PAGES ? bench->frame.nr_pages * PAGE_BYTES : 0;
	assert_true(bytes <= sizeof(pages));
	assert_int_equal(bytes ? conn_read(&bench->dest, pages, bytes, 10000, &bench->err) : 0, 0);
	return &bench->frame;
}

static void sent_pages_are_current(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(send_run(bench, 4, 2), 0);
	assert_int_equal(next(bench)->kind, FRAME_PAGES);
	assert_int_equal(bench->mm.dest_current.nr, 2);
	assert_int_equal(bench->sender.pages, 2);
	assert_int_equal(bench->sender.copied, 0);
}

/* The urgent connection belongs to another thread than the set does. */
static void urgent_pages_are_not_noted(void **state)
{
	struct bench *bench = *state;

	bench->sender.keeps_current = false;
	assert_int_equal(send_run(bench, 4, 2), 0);
	assert_int_equal(next(bench)->kind, FRAME_PAGES);
	assert_int_equal(bench->mm.dest_current.nr, 0);
}

static void slow_pages_are_copied(void **state)
{
	struct bench *bench = *state;

	bench->fake.flags = SPLICE_VM_RUN_SLOW;
	assert_int_equal(send_run(bench, 4, 3), 0);
	assert_int_equal(next(bench)->kind, FRAME_PAGES);
	assert_int_equal(bench->frame.nr_pages, 3);
	assert_int_equal(bench->sender.copied, 3);
	assert_int_equal(bench->mm.dest_current.nr, 3);
}

/* The page was current before: the zeros take its place without a page in the mirror. */
static void zeros_are_told(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(page_set_add(&bench->mm.dest_current, AT(4), 1, &bench->err), 0);
	bench->fake.flags = SPLICE_VM_RUN_IS_ZERO;
	assert_int_equal(send_run(bench, 4, 2), 0);
	assert_int_equal(next(bench)->kind, FRAME_ZERO);
	assert_int_equal(bench->sender.zero, 2);
	assert_int_equal(bench->mm.dest_current.nr, 0);
}

static void a_page_that_is_gone_is_dropped(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(page_set_add(&bench->mm.dest_current, AT(4), 1, &bench->err), 0);
	bench->fake.flags = SPLICE_VM_RUN_GONE;
	assert_int_equal(send_run(bench, 4, 1), 0);
	assert_int_equal(next(bench)->kind, FRAME_DROPPED);
	assert_int_equal(bench->mm.dest_current.nr, 0);
}

/* Nothing changes in a program that stands. */
static void no_page_of_a_frozen_program_is_gone(void **state)
{
	struct bench *bench = *state;

	bench->sender.frozen = true;
	bench->fake.flags = SPLICE_VM_RUN_GONE;
	assert_int_equal(send_run(bench, 4, 1), -1);
	assert_int_equal(bench->err.code, CODE_TARGET);
}

/* Of these the first is copied, and the second cannot be read. */
static void gone_while_it_is_copied(void **state)
{
	struct bench *bench = *state;

	bench->fake.flags = SPLICE_VM_RUN_SLOW;
	bench->fake.unreadable = 5;
	assert_int_equal(send_run(bench, 4, 2), 0);
	assert_int_equal(next(bench)->kind, FRAME_PAGES);
	assert_int_equal(bench->frame.nr_pages, 1);
	assert_int_equal(next(bench)->kind, FRAME_DROPPED);
	assert_int_equal(bench->frame.runs[0].addr, AT(5));
	assert_int_equal(bench->mm.dest_current.nr, 1);
}

/* Runs of several scans are not in order of addresses; each frame is. */
static int cannot_send(struct backend *backend, struct backend_send *send,
		       const struct splice_vm_run *runs, uint32_t nr_runs, backend_runs_fn fn,
		       void *ctx, struct error *err)
{
	return error_set(err, CODE_TARGET, NULL, "this is a test");
}

/* After COMMIT. */
static void what_cannot_be_read_is_lost(void **state)
{
	struct bench *bench = *state;

	bench->sender.frozen = bench->sender.tells_lost = true;
	bench->fake.flags = SPLICE_VM_RUN_GONE;
	assert_int_equal(send_run(bench, 4, 2), 0);
	assert_int_equal(next(bench)->kind, FRAME_LOST);
	assert_int_equal(bench->frame.runs[0].addr, AT(4));
	assert_int_equal(bench->frame.runs[0].nr_pages, 2);
	assert_int_equal(bench->mm.dest_current.nr, 0);
}

/* The backend gives up in the middle: no page is lost for its neighbour. */
static void what_can_be_read_is_sent(void **state)
{
	struct bench *bench = *state;
	struct backend_ops ops = fake_ops;

	ops.send = cannot_send;
	bench->fake.backend.ops = &ops;
	bench->fake.unreadable = 6;
	bench->sender.frozen = bench->sender.tells_lost = true;
	assert_int_equal(send_run(bench, 4, 3), 0);
	for (uint64_t page = 4; page < 7; page++) {
		assert_int_equal(next(bench)->kind, page < 6 ? FRAME_PAGES : FRAME_LOST);
		assert_int_equal(bench->frame.runs[0].addr, AT(page));
		assert_int_equal(bench->frame.runs[0].nr_pages, 1);
	}
	bench->fake.backend.ops = &fake_ops;
}

static void a_process_that_was_killed_is_told_once(void **state)
{
	struct bench *bench = *state;
	struct backend_ops ops = fake_ops;

	ops.send = cannot_send;
	bench->fake.backend.ops = &ops;
	bench->fake.gone = true;
	bench->sender.frozen = bench->sender.tells_lost = true;
	assert_int_equal(send_run(bench, 4, 300), 0);
	assert_int_equal(next(bench)->kind, FRAME_ENDED);
	assert_true(bench->mm.ended);
	assert_int_equal(sender_mark(&bench->sender, &bench->mm, FRAME_PUSHED, &bench->err), 0);
	assert_int_equal(next(bench)->kind, FRAME_PUSHED);
	assert_true(bench->mm.pushed);
	bench->fake.backend.ops = &fake_ops;
}

static void a_list_is_parted_where_it_goes_back(void **state)
{
	const struct splice_vm_run runs[] = {
		run_of(10, 2, 0), run_of(14, 1, 0), run_of(11, 1, 0), run_of(20, 1, 0),
	};
	struct bench *bench = *state;

	assert_int_equal(sender_list(&bench->sender, &bench->mm, FRAME_DROPPED, runs, 4,
				     &bench->err), 0);
	assert_int_equal(next(bench)->nr_runs, 2);
	assert_int_equal(next(bench)->nr_runs, 2);
	assert_int_equal(bench->frame.runs[0].addr, AT(11));
}

/* A list of what there is takes nothing away; FINAL is known before its answer can come. */
static void populated_and_final(void **state)
{
	struct bench *bench = *state;
	struct source_mm *mm = &bench->mm;

	assert_int_equal(page_set_add(&mm->dest_current, AT(4), 2, &bench->err), 0);
	assert_int_equal(page_set_add(&mm->populated, AT(4), 3, &bench->err), 0);
	assert_int_equal(sender_set(&bench->sender, mm, FRAME_POPULATED, &mm->populated,
				    &bench->err), 0);
	assert_int_equal(next(bench)->kind, FRAME_POPULATED);
	assert_int_equal(mm->dest_current.nr, 2);
	assert_false(atomic_load(&mm->final));
	assert_int_equal(sender_mark(&bench->sender, mm, FRAME_FINAL, &bench->err), 0);
	assert_true(atomic_load(&mm->final));
	assert_int_equal(next(bench)->kind, FRAME_FINAL);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(sent_pages_are_current), BENCH_TEST(urgent_pages_are_not_noted),
		BENCH_TEST(slow_pages_are_copied), BENCH_TEST(zeros_are_told),
		BENCH_TEST(a_page_that_is_gone_is_dropped),
		BENCH_TEST(no_page_of_a_frozen_program_is_gone),
		BENCH_TEST(gone_while_it_is_copied),
		BENCH_TEST(what_cannot_be_read_is_lost), BENCH_TEST(what_can_be_read_is_sent),
		BENCH_TEST(a_process_that_was_killed_is_told_once),
		BENCH_TEST(a_list_is_parted_where_it_goes_back), BENCH_TEST(populated_and_final),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
