// SPDX-License-Identifier: GPL-2.0
/* The spaces of one mm at the destination: what they lack, the mirror keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "dest/mm.h"
#include "dest/spaces.h"
#include "tests/mm_hooks.h"

#define BASE	0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)

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
		cmocka_unit_test(test_shared_mirror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
