// SPDX-License-Identifier: GPL-2.0
/* Bookkeeping of mremap, munmap and fork, without a kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/clock.h"
#include "pages/space.h"
#include "pages/space_set.h"

#define BASE	0x7f0000000000UL
#define P	PAGE_BYTES
#define AT(page)	(BASE + (page) * P)

static uint64_t origin_of(const struct space *space, uint64_t addr)
{
	uint64_t one = 1;

	return space_origin(space, addr, &one);
}

static struct space *new_space(uint64_t pages)
{
	struct error err = { 0 };
	struct space *space = space_new(-1, &err);

	assert_non_null(space);
	assert_int_equal(page_set_add(&space->todo, BASE, pages, &err), 0);
	return space;
}

static void move(struct space *space, uint64_t from, uint64_t to, uint64_t pages)
{
	struct error err = { 0 };

	assert_int_equal(space_move(space, AT(from), AT(to), pages * P, &err), 0);
}

static void test_move(void **state)
{
	struct space *space = new_space(10);
	uint64_t nr;

	move(space, 2, 100, 3);
	assert_int_equal(space->todo.nr, 10);
	assert_false(page_set_has(&space->todo, AT(2)));
	assert_true(page_set_has(&space->todo, AT(102)));
	assert_int_equal(origin_of(space, AT(102)), AT(4));
	assert_int_equal(origin_of(space, AT(103)), AT(103));
	assert_int_equal(origin_of(space, AT(1)), AT(1));
	nr = 50;
	assert_int_equal(space_origin(space, AT(90), &nr), AT(90));
	assert_int_equal(nr, 10);
	nr = 50;
	assert_int_equal(space_origin(space, AT(101), &nr), AT(3));
	assert_int_equal(nr, 2);
	/* a part of it on, the rest stays; and back home */
	move(space, 101, 200, 1);
	assert_int_equal(origin_of(space, AT(200)), AT(3));
	assert_int_equal(origin_of(space, AT(100)), AT(2));
	assert_int_equal(origin_of(space, AT(102)), AT(4));
	assert_int_equal(space->nr_pieces, 3);
	move(space, 100, 2, 1);
	move(space, 200, 3, 1);
	move(space, 102, 4, 1);
	assert_int_equal(space->nr_pieces, 0);
	for (int i = 0; i < 10; i++)
		assert_true(page_set_has(&space->todo, AT(i)));
	space_free(space);
}

static void test_move_over_moved(void **state)
{
	struct space *space = new_space(10);

	/* what was at 100 was unmapped, its piece may linger: the next one covers it */
	move(space, 0, 100, 4);
	page_set_remove(&space->todo, AT(100), 4);
	move(space, 5, 101, 2);
	assert_int_equal(origin_of(space, AT(100)), AT(0));
	assert_int_equal(origin_of(space, AT(101)), AT(5));
	assert_int_equal(origin_of(space, AT(102)), AT(6));
	assert_int_equal(origin_of(space, AT(103)), AT(3));
	space_free(space);
}

struct found {
	uint64_t addr[8], origin[8], nr_pages[8];
	int nr;
};

static bool find(struct space *space, uint64_t addr, uint64_t origin, uint64_t nr_pages,
		 void *ctx)
{
	struct found *found = ctx;

	found->addr[found->nr] = addr;
	found->origin[found->nr] = origin;
	found->nr_pages[found->nr++] = nr_pages;
	return true;
}

static void test_each_lacking(void **state)
{
	struct space *space = new_space(10);
	struct found found = { .nr = 0 };

	move(space, 4, 104, 2);
	page_set_remove(&space->todo, AT(8), 1);
	assert_true(space_each_lacking(space, AT(3), 7, find, &found));
	assert_int_equal(found.nr, 4);
	assert_int_equal(found.addr[0], AT(3));
	assert_int_equal(found.addr[1], AT(6));
	assert_int_equal(found.nr_pages[1], 2);
	assert_int_equal(found.addr[2], AT(9));
	assert_int_equal(found.addr[3], AT(104));
	assert_int_equal(found.origin[3], AT(4));
	assert_int_equal(found.nr_pages[3], 2);
	/* an address that is covered by a piece is not its own origin */
	found.nr = 0;
	space_each_lacking(space, AT(104), 2, find, &found);
	assert_int_equal(found.nr, 0);
	space_free(space);
}

static void test_fork(void **state)
{
	struct space *space = new_space(10), *child;
	struct error err = { 0 };

	move(space, 4, 104, 2);
	child = space_fork(space, &err);
	assert_non_null(child);
	assert_int_equal(child->todo.nr, 10);
	assert_int_equal(origin_of(child, AT(105)), AT(5));
	move(child, 104, 4, 2);
	assert_int_equal(origin_of(space, AT(105)), AT(5));
	assert_int_equal(child->nr_pieces, 0);
	space_free(space);
	space_free(child);
}

static void test_waiting(void **state)
{
	struct space *space = new_space(100);
	struct error err = { 0 };

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 40; i++)
			assert_int_equal(space_wait(space, &(struct space_fault){ .addr = AT(i) }, &err), 0);
	assert_int_equal(space->nr_waiting, 40);
	space_unwait(space, AT(10), 5);
	assert_int_equal(space->nr_waiting, 35);
	space_unwait(space, AT(0), 100);
	assert_int_equal(space->nr_waiting, 0);
	space_free(space);
}

/* A fault counts when its page comes, from when it was first read, and once although it was read twice. */
static void test_answered(void **state)
{
	struct space *space = new_space(100);
	struct space_set set = { 0 };
	struct latency all;
	struct error err = { 0 };
	uint64_t ago = clock_now_ns() - 5000000;

	latency_init(&all);
	set.answered.all = &all;
	assert_int_equal(space_set_add(&set, space, &err), 0);
	assert_int_equal(space_wait(space, &(struct space_fault){ AT(1), ago }, &err), 0);
	assert_int_equal(space_wait(space, &(struct space_fault){ AT(1), ago + 5000000 }, &err), 0);
	assert_int_equal(space_wait(space, &(struct space_fault){ AT(2), ago }, &err), 0);
	space_unwait(space, AT(1), 1);
	assert_int_equal(set.answered.faults, 1);
	assert_true(set.answered.blocked_ns >= 5000000);
	assert_int_equal(latency_figures(&all).nr, 1);
	assert_int_equal(latency_figures(&all).longest_ns, set.answered.blocked_ns);
	latency_destroy(&all);
	space_set_free(&set);
}

/* The piece that is added later is newer, and the first one with a page tells. */
static void test_pieces(void **state)
{
	struct pieces pieces = { .list = NULL };
	struct error err = { 0 };
	uint64_t nr = 20;

	assert_int_equal(pieces_add(&pieces, AT(10), AT(14), AT(50), &err), 0);
	assert_int_equal(pieces_add(&pieces, AT(10), AT(14), AT(50), &err), 0);
	assert_int_equal(pieces.nr, 1);
	assert_int_equal(pieces_add(&pieces, AT(20), AT(21), AT(70), &err), 0);
	assert_true(pieces_has(&pieces, AT(13), AT(15)));
	assert_false(pieces_has(&pieces, AT(14), AT(20)));
	assert_true(pieces_has_origin(&pieces, AT(53), AT(60)));
	assert_false(pieces_has_origin(&pieces, AT(54), AT(70)));
	assert_false(pieces_part(&pieces, AT(14), &nr));
	assert_int_equal(nr, 6);
	nr = 20;
	assert_true(pieces_part(&pieces, AT(12), &nr));
	assert_int_equal(nr, 2);
	pieces_drop_first(&pieces);
	assert_false(pieces_has(&pieces, AT(10), AT(14)));
	assert_true(pieces_has(&pieces, AT(20), AT(21)));
	pieces_drop_first(&pieces);
	assert_int_equal(pieces.nr, 0);
	free(pieces.list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_move_over_moved),
		cmocka_unit_test(test_each_lacking),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_answered),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
