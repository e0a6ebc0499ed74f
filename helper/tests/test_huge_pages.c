// SPDX-License-Identifier: GPL-2.0
/* Small pages become huge ones, where all of a huge page is there and the program asked for it. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/page.h"
#include "os/huge_pages.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#define HUGE		(2UL << 20)
#define BYTES		(4 * HUGE)

/* Small pages at an address that is one of a huge page; @advice comes when they are there. */
static uint8_t *map_small(int advice)
{
	uint8_t *all = mmap(NULL, BYTES + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *at = (uint8_t *)(((uintptr_t)all + HUGE - 1) & ~(HUGE - 1));

	assert_true(all != MAP_FAILED);
	munmap(all, at - all);
	munmap(at + BYTES, all + HUGE - at);
	assert_int_equal(madvise(at, BYTES, MADV_NOHUGEPAGE), 0);
	for (size_t i = 0; i < BYTES; i += PAGE_BYTES)
		memset(at + i, i / PAGE_BYTES + 1, PAGE_BYTES);
	assert_int_equal(madvise(at, BYTES, advice), 0);
	return at;
}

/* Linux 6.1, with huge pages, has it. */
static void skip_where_it_cannot_be(void)
{
	uint8_t *at = map_small(MADV_HUGEPAGE);
	int ret = madvise(at, HUGE, MADV_COLLAPSE);

	munmap(at, BYTES);
	if (ret)
		skip();
}

static uint64_t huge_at(const uint8_t *at)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long start = 0, first, end, kib, all = 0;
	char line[512];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			start = first;
		if (start >= (uintptr_t)at && start < (uintptr_t)at + BYTES &&
		    sscanf(line, "AnonHugePages: %lu kB", &kib) == 1)
			all += kib;
	}
	fclose(file);
	return all * 1024 / HUGE;
}

static uint64_t make(enum huge_policy policy)
{
	struct error err = { 0 };
	uint64_t made;

	assert_int_equal(huge_pages_make(getpid(), policy, UINT64_MAX, &made, &err), 0);
	return made;
}

/*
 * A page that is pinned for a moment, by compaction too, is left out, and made the next time. The kernel's
 * own thread may be ahead of the call: what counts is what is huge then.
 *
 * Return: huge pages at @at
 */
static uint64_t make_at(const uint8_t *at, enum huge_policy policy, uint64_t wanted, uint64_t *made)
{
	*made = 0;
	for (int i = 0; i < 500 && (!i || huge_at(at) < wanted); i++) {
		if (i)
			usleep(20000);
		*made += make(policy);
	}
	assert_in_range(*made, 0, wanted);
	return huge_at(at);
}

/* Where the kernel's thread made all of them nothing is known of the call. */
static uint8_t *map_and_make(void)
{
	uint64_t made;

	for (int i = 0; i < 10; i++) {
		uint8_t *at = map_small(MADV_HUGEPAGE);

		assert_true(huge_pages_wanted(getpid(), HUGE_ADVISED) >= BYTES);
		assert_int_equal(make_at(at, HUGE_ADVISED, 4, &made), 4);
		if (made)
			return at;
		munmap(at, BYTES);
	}
	fail_msg("the call made none of 40 huge pages");
	return NULL;
}

static void what_is_whole_becomes_huge(void **state)
{
	uint8_t *at;

	skip_where_it_cannot_be();
	at = map_and_make();
	for (size_t i = 0; i < BYTES; i += PAGE_BYTES)
		assert_int_equal(at[i + 7], (uint8_t)(i / PAGE_BYTES + 1));
	/* they are huge already */
	assert_int_equal(make(HUGE_ADVISED), 0);
	munmap(at, BYTES);
}

static uint8_t *map_with_a_hole(void)
{
	uint8_t *at = map_small(MADV_HUGEPAGE);

	madvise(at + HUGE + 5 * PAGE_BYTES, PAGE_BYTES, MADV_DONTNEED);
	return at;
}

/* The memory must not grow. The kernel's own thread lets it grow. */
static void what_has_a_hole_stays_small(void **state)
{
	uint64_t huge, made;
	uint8_t *at;

	skip_where_it_cannot_be();
	at = map_with_a_hole();
	huge = make_at(at, HUGE_ADVISED, 3, &made);
	for (int i = 0; i < 10 && huge > 3; i++) {
		munmap(at, BYTES);
		at = map_with_a_hole();
		huge = make_at(at, HUGE_ADVISED, 3, &made);
	}
	assert_int_equal(huge, 3);
	assert_int_equal(at[HUGE + 5 * PAGE_BYTES], 0);
	munmap(at, BYTES);
}

static void nobody_gets_what_nobody_asked_for(void **state)
{
	uint64_t made;
	uint8_t *at;

	skip_where_it_cannot_be();
	at = map_small(MADV_NOHUGEPAGE);
	make(HUGE_ADVISED);
	assert_int_equal(huge_at(at), 0);
	make(HUGE_NEVER);
	assert_int_equal(huge_at(at), 0);
	assert_int_equal(huge_pages_wanted(getpid(), HUGE_NEVER), 0);
	make(HUGE_ALWAYS);
	assert_int_equal(huge_at(at), 0);
	assert_int_equal(madvise(at, BYTES, MADV_HUGEPAGE), 0);
	assert_int_equal(make_at(at, HUGE_ADVISED, 4, &made), 4);
	munmap(at, BYTES);
}

static void who_has_gone_is_an_error(void **state)
{
	struct error err = { 0 };
	uint64_t made;

	assert_int_equal(huge_pages_make(0x7ffffff0, HUGE_ALWAYS, UINT64_MAX, &made, &err), -1);
	assert_int_equal(made, 0);
	assert_int_equal(huge_pages_wanted(0x7ffffff0, HUGE_ALWAYS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_whole_becomes_huge),
		cmocka_unit_test(what_has_a_hole_stays_small),
		cmocka_unit_test(nobody_gets_what_nobody_asked_for),
		cmocka_unit_test(who_has_gone_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
