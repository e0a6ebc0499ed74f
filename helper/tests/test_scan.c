// SPDX-License-Identifier: GPL-2.0
/* What a scan tells goes into the pages that are to be sent, and to the destination when it has pages already. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/scan.h"
#include "tests/fake_backend.h"

#define OBJECT	5

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

	*state = bench;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	bench->conn = (struct conn){ .fd = pair[0] };
	bench->dest = (struct conn){ .fd = pair[1] };
	fake_init(&bench->fake);
	source_mm_init(&bench->mm, OBJECT, getpid());
	bench->mm.backend = &bench->fake.backend;
	fake_add_scan(&bench->fake, 0, run_of(0, 4, SPLICE_VM_RUN_DIRTY));
	fake_add_scan(&bench->fake, 0, run_of(6, 1, SPLICE_VM_RUN_DIRTY | SPLICE_VM_RUN_HELD));
	fake_add_scan(&bench->fake, 0, run_of(8, 3, SPLICE_VM_RUN_DROPPED));
	fake_add_scan(&bench->fake, 0, run_of(20, 1, 0));
	return sender_init(&bench->sender, &bench->conn, true, &bench->err);
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

static void put(struct page_set *set, uint64_t page, uint64_t nr)
{
	assert_int_equal(page_set_add(set, AT(page), nr, &(struct error){ 0 }), 0);
}

static void assert_has(const struct page_set *set, uint64_t page, uint64_t nr, bool want)
{
	for (uint64_t i = page; i < page + nr; i++)
		assert_int_equal(page_set_has(set, AT(i)), want);
}

static bool is_silent(const struct bench *bench)
{
	char byte;

	return recv(bench->dest.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

static void written_pages_are_dirty_and_gone_ones_are_not(void **state)
{
	struct bench *bench = *state;

	put(&bench->mm.dirty, 9, 3);
	assert_int_equal(scan_mm(&bench->mm, &bench->sender, &bench->err), 0);
	assert_has(&bench->mm.dirty, 0, 4, true);
	assert_has(&bench->mm.dirty, 4, 2, false);
	assert_has(&bench->mm.dirty, 6, 1, true);
	assert_has(&bench->mm.dirty, 7, 4, false);
	assert_has(&bench->mm.dirty, 11, 1, true);
	assert_false(page_set_has(&bench->mm.dirty, AT(20)));
}

static void gone_pages_are_told_to_a_destination_that_knows(void **state)
{
	struct bench *bench = *state;

	bench->mm.begun = true;
	assert_int_equal(scan_mm(&bench->mm, &bench->sender, &bench->err), 0);
	assert_int_equal(frame_recv(&bench->dest, 5000, &bench->frame, &bench->err), 1);
	assert_int_equal(bench->frame.kind, FRAME_DROPPED);
	assert_int_equal(FRAME_OBJECT_OF(bench->frame.cookie), OBJECT);
	assert_int_equal(bench->frame.nr_runs, 1);
	assert_int_equal(bench->frame.runs[0].addr, AT(8));
	assert_int_equal(bench->frame.runs[0].nr_pages, 3);
	assert_true(is_silent(bench));
}

static void nothing_is_told_to_one_that_does_not(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(scan_mm(&bench->mm, &bench->sender, &bench->err), 0);
	assert_true(is_silent(bench));
}

/* Of pages that are written again and again the first scan says nothing: it has all that there are. */
static void pages_are_hot_from_the_second_scan_on(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(scan_mm(&bench->mm, &bench->sender, &bench->err), 0);
	assert_has(&bench->mm.hot.written[bench->mm.hot.at], 0, 21, false);
	bench->fake.nr_scans = 0;
	bench->mm.known = true;
	assert_int_equal(scan_mm(&bench->mm, &bench->sender, &bench->err), 0);
	assert_has(&bench->mm.hot.written[bench->mm.hot.at], 0, 4, true);
	assert_has(&bench->mm.hot.written[bench->mm.hot.at], 6, 1, true);
	assert_has(&bench->mm.hot.written[bench->mm.hot.at], 8, 3, false);
}

#define CASE(test)	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(written_pages_are_dirty_and_gone_ones_are_not), CASE(gone_pages_are_told_to_a_destination_that_knows),
		CASE(nothing_is_told_to_one_that_does_not), CASE(pages_are_hot_from_the_second_scan_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
