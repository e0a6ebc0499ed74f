// SPDX-License-Identifier: GPL-2.0
/* Bookkeeping of mremap, munmap and fork, without a kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "dest/mm.h"
#include "dest/spaces.h"
#include "pages/sets.h"
#include "tests/mm_hooks.h"

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
			assert_int_equal(space_wait(space, AT(i), &err), 0);
	assert_int_equal(space->nr_waiting, 40);
	space_unwait(space, AT(10), 5);
	assert_int_equal(space->nr_waiting, 35);
	space_unwait(space, AT(0), 100);
	assert_int_equal(space->nr_waiting, 0);
	space_free(space);
}

/* A page is given back when the last space that lacks it has it. */
static void test_shared_mirror(void **state)
{
	const struct mirror_range range = { AT(0), AT(16) };
	const struct splice_vm_run run = { .addr = AT(0), .nr_pages = 8 };
	const struct splice_vm_run all = { .addr = AT(0), .nr_pages = 12 };
	struct error err = { 0 };
	struct mirror_windows *windows;
	struct space *child;
	struct page_set lazy;
	struct mm mm;
	uint64_t have, lack;

	assert_int_equal(mm_init(&mm, &no_mm_hooks, &err), 0);
	assert_int_equal(mm_announce(&mm, &range, 1, &err), 0);
	assert_int_equal(mm_begin_receive(&mm, &run, 1, &windows, &err), 0);
	assert_int_equal(mm_end_receive(&mm, windows, &run, 1, &err), 0);
	assert_int_equal(mm_populate(&mm, &all, 1, &err), 0);
	mm_final(&mm, &have, &lack);
	assert_int_equal(have, 8);
	assert_int_equal(lack, 4);
	page_set_init(&lazy);
	assert_int_equal(page_set_add(&lazy, AT(2), 14, &err), 0);
	assert_int_equal(mm_seal(&mm, &lazy, &err), 0);
	assert_int_equal(mm.spaces.list[0]->todo.nr, 10);
	assert_int_equal(mm.mirror.have.nr, 6);
	assert_int_equal(mm.wanted.pages.nr, 4);
	assert_int_equal(mm.counts.image, 2);

	child = space_fork(mm.spaces.list[0], &err);
	assert_int_equal(space_set_add(&mm.spaces, child, &err), 0);
	page_set_remove(&mm.spaces.list[0]->todo, AT(2), 10);
	mm_release(&mm, AT(2), 10);
	assert_int_equal(mm.mirror.have.nr, 6);
	page_set_remove(&child->todo, AT(3), 2);
	mm_release(&mm, AT(2), 10);
	assert_int_equal(mm.mirror.have.nr, 4);
	assert_false(page_set_has(&mm.mirror.have, AT(4)));
	assert_int_equal(mm.wanted.pages.nr, 4);
	assert_false(spaces_done(&mm));
	spaces_bury(&mm, child);
	assert_int_equal(mm.mirror.have.nr, 0);
	assert_int_equal(mm.wanted.pages.nr, 0);
	assert_true(spaces_done(&mm));
	page_set_destroy(&lazy);
	mm_destroy(&mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_move_over_moved),
		cmocka_unit_test(test_each_lacking),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_shared_mirror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
