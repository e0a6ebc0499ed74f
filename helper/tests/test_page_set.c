// SPDX-License-Identifier: GPL-2.0
/* Sets of pages. Linked with --wrap=calloc and --wrap=realloc: memory is short. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "pages/page_set.h"

#define PAGE(n)		((uint64_t)(n) << PAGE_SHIFT)
#define MODEL_PAGES	200000UL	/* over several blocks of the bitmap */

static int setup(void **state)
{
	struct page_set *set = calloc(1, sizeof(*set));

	*state = set;
	page_set_init(set);
	return 0;
}

static int teardown(void **state)
{
	page_set_destroy(*state);
	page_set_destroy(*state);
	free(*state);
	return 0;
}

static void empty_has_nothing(void **state)
{
	struct page_set *set = *state;
	struct run run;

	assert_false(page_set_has(set, 0));
	assert_false(page_set_has(set, USER_END - PAGE_BYTES));
	assert_false(page_set_has(set, USER_END));
	assert_false(page_set_has(set, ~0UL));
	assert_false(page_set_next(set, 0, USER_END, 0, &run));
	page_set_remove(set, 0, USER_END >> PAGE_SHIFT);
	assert_int_equal(set->nr, 0);
}

static void put(struct page_set *set, uint64_t addr, uint64_t nr_pages)
{
	struct error err = { 0 };

	assert_int_equal(page_set_add(set, addr, nr_pages, &err), 0);
}

static void add_counts_once(void **state)
{
	struct page_set *set = *state;

	put(set, PAGE(10), 100);
	put(set, PAGE(50), 100);
	assert_int_equal(set->nr, 140);
	page_set_remove(set, PAGE(0), 20);
	assert_int_equal(set->nr, 130);
	page_set_remove(set, PAGE(0), 20);
	assert_int_equal(set->nr, 130);
	assert_false(page_set_has(set, PAGE(19)));
	assert_true(page_set_has(set, PAGE(20)));
	assert_true(page_set_has(set, PAGE(149) + 123));
	assert_false(page_set_has(set, PAGE(150)));
}

static void ends_of_user_space(void **state)
{
	struct page_set *set = *state;
	struct run run;

	put(set, 0, 1);
	put(set, USER_END - PAGE_BYTES, 1);
	assert_true(page_set_next(set, PAGE(1), USER_END, 0, &run));
	assert_int_equal(run.addr, USER_END - PAGE_BYTES);
	assert_int_equal(run.nr_pages, 1);
	/* what lies above is cut off, also where the sum overflows */
	put(set, USER_END - PAGE(2), ~0UL);
	put(set, USER_END, 5);
	put(set, ~0UL << PAGE_SHIFT, 5);
	assert_int_equal(set->nr, 3);
	assert_true(page_set_next(set, PAGE(1), ~0UL, 0, &run));
	assert_int_equal(run.nr_pages, 2);
	page_set_remove(set, 0, ~0UL);
	assert_int_equal(set->nr, 0);
}

static void runs_over_blocks(void **state)
{
	struct page_set *set = *state;
	struct run run;

	put(set, PAGE(32768 - 7), 65536 + 20);
	assert_true(page_set_next(set, 0, USER_END, 0, &run));
	assert_int_equal(run.addr, PAGE(32768 - 7));
	assert_int_equal(run.nr_pages, 65536 + 20);
	/* ends with a block that is full */
	page_set_remove(set, PAGE(98304), 100);
	assert_true(page_set_next(set, 0, USER_END, 0, &run));
	assert_int_equal(run.nr_pages, 65536 + 7);
	assert_true(page_set_next(set, PAGE(40000), USER_END, 512, &run));
	assert_int_equal(run.addr, PAGE(40000));
	assert_int_equal(run.nr_pages, 512);
	assert_true(page_set_next(set, PAGE(40000), PAGE(40003), 512, &run));
	assert_int_equal(run.nr_pages, 3);
	assert_false(page_set_next(set, PAGE(40000), PAGE(40000), 0, &run));
	assert_false(page_set_next(set, PAGE(50000), PAGE(40000), 0, &run));
}

static void check_model(const struct page_set *set, const char *model)
{
	uint64_t at = 0, nr = 0;
	struct run run;

	for (uint64_t page = 0; page < MODEL_PAGES; page++)
		nr += model[page];
	assert_int_equal(set->nr, nr);
	while (page_set_next(set, PAGE(at), PAGE(MODEL_PAGES), 0, &run)) {
		uint64_t first = run.addr >> PAGE_SHIFT;

		for (; at < first; at++)
			assert_false(model[at]);
		for (; at < first + run.nr_pages; at++)
			assert_true(model[at]);
		assert_true(at == MODEL_PAGES || !model[at]);
	}
	for (; at < MODEL_PAGES; at++)
		assert_false(model[at]);
}

static void like_an_array(void **state)
{
	struct page_set *set = *state;
	char *model = calloc(1, MODEL_PAGES);

	srand(1);
	for (int i = 0; i < 400; i++) {
		uint64_t first = rand() % MODEL_PAGES, nr = rand() % (i % 3 ? 300 : 50000);
		bool add = rand() % 2;

		if (nr > MODEL_PAGES - first)
			nr = MODEL_PAGES - first;
		memset(model + first, add, nr);
		if (add)
			put(set, PAGE(first), nr);
		else
			page_set_remove(set, PAGE(first), nr);
		if (i % 10 == 0)
			check_model(set, model);
	}
	check_model(set, model);
	free(model);
}

/* A block of 16 MiB takes 512 bytes, and each 64 of them a table. */
static void cost_is_what_is_not_touched(void **state)
{
	const uint64_t block = 1UL << 24, bits = 512, table = 65 * sizeof(uint64_t);
	struct page_set *set = *state;

	assert_int_equal(page_set_cost(set, 5 * block, 0), 0);
	assert_int_equal(page_set_cost(set, USER_END, 1), 0);
	assert_int_equal(page_set_cost(set, 5 * block, 1), bits + table);
	assert_int_equal(page_set_cost(set, 5 * block - PAGE_BYTES, 2), 2 * bits + table);
	assert_int_equal(page_set_cost(set, 64 * block - PAGE_BYTES, 2), 2 * bits + 2 * table);
	put(set, 5 * block, 1);
	assert_int_equal(page_set_cost(set, 5 * block, 1), 0);
	assert_int_equal(page_set_cost(set, 4 * block, 3 << 12), 2 * bits);
	assert_int_equal(page_set_cost(set, 63 * block, 2 << 12), 2 * bits + table);
	assert_int_equal(page_set_cost(set, 0, USER_END / PAGE_BYTES),
			 (USER_END / block - 1) * bits + (USER_END / block / 64 - 1) * table);
	page_set_remove(set, 5 * block, 1);
	assert_int_equal(page_set_cost(set, 5 * block, 1), 0);
}

static void common_pages(void **state)
{
	struct page_set *set = *state, other;

	page_set_init(&other);
	put(set, 0x7f0000000000, 100000);
	put(&other, 0x7f0000000000 + 99990 * PAGE_BYTES, 50);
	put(&other, 0x1000, 7);
	assert_int_equal(page_set_common(set, &other), 10);
	assert_int_equal(page_set_common(&other, set), 10);
	page_set_remove(set, 0x7f0000000000, 100000);
	assert_int_equal(page_set_common(set, &other), 0);
	page_set_destroy(&other);
}

/* Return: KiB of private memory that this process can write to, which is what it commits */
static long committed(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmData: %ld kB", &kib) == 1)
			break;
	fclose(file);
	assert_true(kib >= 0);
	return kib;
}

/* A program has members in three places of its address space. */
static void commits_what_it_needs(void **state)
{
	static const uint64_t places[] = { 0x400000, 0x555555554000, 0x7ffff7d00000 };
	struct page_set *set = *state, other;
	long before = committed();

	page_set_init(&other);
	assert_in_range(committed() - before, 0, 1024);
	for (int i = 0; i < 3; i++) {
		put(&other, places[i], 1000);
		put(set, places[i], 1000);
	}
	assert_int_equal(page_set_common(set, &other), 3000);
	assert_in_range(committed() - before, 0, 16 * 1024);
	page_set_destroy(&other);
}

static int allocations_left = -1;

void *__real_calloc(size_t nr, size_t bytes);
void *__wrap_calloc(size_t nr, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_calloc(size_t nr, size_t bytes)
{
	return allocations_left && allocations_left-- ? __real_calloc(nr, bytes) : NULL;
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return allocations_left && allocations_left-- ? __real_realloc(old, bytes) : NULL;
}

/* A caller is told what could not be had, and the set is as it was: whichever piece of memory is the one that lacks. */
static void no_memory_adds_nothing(void **state)
{
	struct page_set *set = *state;
	int nr = 0, ret = -1;

	put(set, 0x400000, 10);
	for (; ret; nr++) {
		struct error err = { 0 };

		page_set_destroy(set);
		put(set, 0x400000, 10);
		allocations_left = nr;
		/* the first block has its memory, later ones have not */
		ret = page_set_add(set, 0x400000, 8UL << (30 - PAGE_SHIFT), &err);
		allocations_left = -1;
		if (!ret)
			break;
		assert_int_equal(ret, -1);
		assert_int_equal(err.code, CODE_NOT_READY);
		assert_non_null(strstr(err.what, "list of a program's pages"));
		assert_int_equal(set->nr, 10);
		assert_false(page_set_has(set, 0x400000 + 10 * PAGE_BYTES));
		put(set, 0x400000, 20);
		assert_int_equal(set->nr, 20);
	}
	/* 512 blocks are new, and 8 groups, for which there is no room at once */
	assert_int_equal(nr, 512 + 8 + 2);
	assert_int_equal(set->nr, 8UL << (30 - PAGE_SHIFT));
}

static const uint64_t far_apart[] = {
	0, 0x8000000, 0x1ff8000000, 0x2000000000, 0x550000000000, 0x7f0000000000, USER_END - PAGE_BYTES,
};

#define NR_FAR	(sizeof(far_apart) / sizeof(*far_apart))

static void pages_far_apart(void **state)
{
	struct page_set *set = *state;
	uint64_t at = 0;
	struct run run;

	for (size_t i = 0; i < NR_FAR; i++)
		put(set, far_apart[i], 1);
	for (size_t i = 0; i < NR_FAR; i++, at = run.addr + PAGE_BYTES) {
		assert_true(page_set_next(set, at, USER_END, 0, &run));
		assert_int_equal(run.addr, far_apart[i]);
		assert_int_equal(run.nr_pages, 1);
		assert_false(page_set_next(set, at, far_apart[i], 0, &run));
		run.addr = far_apart[i];
	}
	assert_false(page_set_next(set, at, USER_END, 0, &run));
	assert_int_equal(page_set_common(set, set), NR_FAR);
	page_set_remove(set, PAGE_BYTES, USER_END >> PAGE_SHIFT);
	assert_int_equal(set->nr, 1);
	assert_true(page_set_has(set, 0));
}

/* There are a dozen sets for each process, and hundreds of processes. */
static void a_walk_needs_no_memory(void **state)
{
	struct page_set *set = *state;
	struct run run;

	put(set, far_apart[0], 1);
	put(set, far_apart[NR_FAR - 1], 1);
	allocations_left = 0;
	assert_true(page_set_next(set, PAGE_BYTES, USER_END, 0, &run));
	assert_int_equal(run.addr, far_apart[NR_FAR - 1]);
	page_set_remove(set, 0x400000, USER_END >> (PAGE_SHIFT + 1));
	assert_false(page_set_has(set, 0x400000));
	allocations_left = -1;
	assert_int_equal(set->nr_groups, 2);
}

/* Sets grow in any order of their addresses. */
static void groups_in_any_order(void **state)
{
	struct page_set *set = *state;
	uint64_t at = 0, gib = 1UL << 30;
	struct run run;

	for (uint64_t i = 0; i < 100; i++)
		put(set, i * 37 % 100 * gib + PAGE_BYTES, 1);
	for (uint64_t i = 0; i < 100; i++, at = run.addr + PAGE_BYTES) {
		assert_true(page_set_next(set, at, USER_END, 0, &run));
		assert_int_equal(run.addr, i * gib + PAGE_BYTES);
		assert_true(page_set_has(set, run.addr));
	}
	assert_false(page_set_next(set, at, USER_END, 0, &run));
	assert_int_equal(set->nr_groups, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(empty_has_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(add_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_of_user_space, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_over_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(like_an_array, setup, teardown),
		cmocka_unit_test_setup_teardown(cost_is_what_is_not_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(common_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(commits_what_it_needs, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_far_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(a_walk_needs_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_in_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory_adds_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
