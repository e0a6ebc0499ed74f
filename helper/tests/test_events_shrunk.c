// SPDX-License-Identifier: GPL-2.0
/* An mremap() that moves and shrinks, of which Linux 6.1 and 6.12 tell a length that is too long. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/late_pages.h"
#include "tests/few_pages.h"

static void *move_shrinking(void *to)
{
	return mremap(few.area, 2 * P, P, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

static uint64_t origin_of(const uint8_t *page)
{
	uint64_t origin, one = 1;

	mm_lock(&few.mm);
	origin = space_origin(few.mm.spaces.list[0], (uintptr_t)page, &one);
	mm_unlock(&few.mm);
	return origin;
}

/* Two pages of which the first one moves, and REMAP tells of both: what is behind the new place is still to come. */
static void check_shrunk(uint8_t *to)
{
	uint8_t data[P], *behind = to + P;
	struct error err = { 0 };
	pthread_t mover;
	void *at;

	atomic_store(&long_remap, 2 * P);
	pthread_create(&mover, NULL, move_shrinking, to);
	pthread_join(mover, &at);
	assert_ptr_equal(at, to);
	for (int i = 0; i < 1000 && lacks(few.area + P); i++)
		usleep(10000);
	assert_false(lacks(few.area + P));
	assert_true(lacks(to));
	assert_int_equal(origin_of(to), (uintptr_t)few.area);
	assert_true(lacks(behind));
	assert_int_equal(origin_of(behind), (uintptr_t)few.area + 3 * P);
	memset(data, 0x5a, P);
	assert_int_equal(late_pages_take(&few.mm, (uintptr_t)few.area + 3 * P, 1, data, false, &err), 0);
	assert_int_equal(*(volatile uint8_t *)behind, 0x5a);
	memset(data, 0x33, P);
	assert_int_equal(late_pages_take(&few.mm, (uintptr_t)few.area, 1, data, false, &err), 0);
	assert_int_equal(*(volatile uint8_t *)to, 0x33);
}

static void test_moved_and_shrunk(void **state)
{
	uint8_t *behind;

	need_uffd();
	set_up_few(0);
	behind = few.other + P;
	start_reader();
	assert_ptr_equal(mremap(few.area + 3 * P, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, behind), behind);
	check_shrunk(few.other);
	take_down_few();
}

/* The length that REMAP tells would have the new place overlap the old one. */
static void test_moved_down_and_shrunk(void **state)
{
	uint8_t *to, *from;

	need_uffd();
	set_up_few(0);
	to = few.area;
	from = few.area + P;
	start_reader();
	atomic_store(&long_remap, 2 * P);
	assert_ptr_equal(mremap(from, 2 * P, P, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	for (int i = 0; i < 1000 && (lacks(from) || lacks(from + P)); i++)
		usleep(10000);
	assert_false(lacks(from) || lacks(from + P));
	assert_true(lacks(to));
	assert_int_equal(origin_of(to), (uintptr_t)from);
	assert_true(lacks(few.area + 3 * P));
	take_down_few();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moved_and_shrunk),
		cmocka_unit_test(test_moved_down_and_shrunk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
