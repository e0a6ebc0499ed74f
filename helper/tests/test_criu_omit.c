// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "criu/omit.h"
#include "tests/criu_images.h"

#define PG(n)	((uint64_t)(n) * PAGE_BYTES)

struct bench {
	struct test_dir dir;
	struct page_set elsewhere, carried;
	struct omit omit;
	struct image_out map;
	struct error err;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	*state = bench;
	dir_make(&bench->dir);
	image_out_init(&bench->map, IMAGE_PAGEMAP);
	pagemap_put_head(&bench->map, 1);
	page_set_init(&bench->elsewhere);
	page_set_init(&bench->carried);
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	omit_free(&bench->omit);
	image_out_free(&bench->map);
	page_set_destroy(&bench->elsewhere);
	page_set_destroy(&bench->carried);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

static void is_elsewhere(struct bench *bench, uint64_t page, uint64_t nr)
{
	assert_int_equal(page_set_add(&bench->elsewhere, PG(page), nr, &bench->err), 0);
}

/* @pages: how many are in the pages image */
static int run(struct bench *bench, uint64_t pages)
{
	int fd = openat(bench->dir.fd, "pages-1.img", O_WRONLY | O_CREAT, 0600);

	assert_int_equal(ftruncate(fd, PG(pages)), 0);
	close(fd);
	assert_int_equal(image_out_store(&bench->map, bench->dir.fd, "pagemap-77.img", &bench->err), 0);
	return omit_pages(bench->dir.fd, TEST_PID, &bench->elsewhere, &bench->carried, &bench->omit,
			  &bench->err);
}

static void check_entry(const struct pagemap_entry *entry, uint64_t page, uint64_t nr, uint32_t flags)
{
	assert_int_equal(entry->addr, PG(page));
	assert_int_equal(entry->nr_pages, nr);
	assert_int_equal(entry->flags, flags);
}

static void check_piece(const struct omit *omit, size_t i, uint64_t page, uint64_t nr)
{
	assert_true(i < omit->nr);
	assert_int_equal(omit->pieces[i].offset, PG(page));
	assert_int_equal(omit->pieces[i].bytes, PG(nr));
}

static void an_entry_is_divided(void **state)
{
	struct bench *bench = *state;
	struct pagemap_entry entries[8];

	pagemap_put(&bench->map, PG(0x100), 4, PAGEMAP_LAZY);
	pagemap_put(&bench->map, PG(0x200), 10, PAGEMAP_PRESENT);
	pagemap_put(&bench->map, PG(0x300), 5, PAGEMAP_PARENT);
	pagemap_put(&bench->map, PG(0x400), 2, PAGEMAP_PRESENT | PAGEMAP_LAZY);
	is_elsewhere(bench, 0x100, 2);
	is_elsewhere(bench, 0x202, 3);
	is_elsewhere(bench, 0x209, 8);
	is_elsewhere(bench, 0x302, 1);
	assert_int_equal(run(bench, 12), 0);

	assert_int_equal(pagemap_list(bench->dir.fd, entries, 8), 7);
	check_entry(&entries[0], 0x100, 4, PAGEMAP_LAZY);
	check_entry(&entries[1], 0x200, 2, PAGEMAP_PRESENT);
	check_entry(&entries[2], 0x202, 3, PAGEMAP_PARENT);
	check_entry(&entries[3], 0x205, 4, PAGEMAP_PRESENT);
	check_entry(&entries[4], 0x209, 1, PAGEMAP_PARENT);
	check_entry(&entries[5], 0x300, 5, PAGEMAP_PARENT);
	check_entry(&entries[6], 0x400, 2, PAGEMAP_PRESENT | PAGEMAP_LAZY);

	assert_string_equal(bench->omit.name, "pages-1.img");
	assert_int_equal(bench->omit.pages, 4);
	assert_int_equal(bench->omit.bytes, PG(8));
	assert_int_equal(bench->omit.nr, 3);
	check_piece(&bench->omit, 0, 0, 2);
	check_piece(&bench->omit, 1, 5, 4);
	check_piece(&bench->omit, 2, 10, 2);

	assert_int_equal(bench->carried.nr, 8);
	assert_true(page_set_has(&bench->carried, PG(0x201)));
	assert_false(page_set_has(&bench->carried, PG(0x202)));
	assert_true(page_set_has(&bench->carried, PG(0x401)));
}

static void nothing_is_left_out(void **state)
{
	struct bench *bench = *state;
	struct pagemap_entry entries[2];

	pagemap_put(&bench->map, PG(0x200), 10, PAGEMAP_PRESENT);
	is_elsewhere(bench, 0x20a, 3);
	assert_int_equal(run(bench, 10), 0);
	assert_int_equal(bench->omit.pages, 0);
	assert_int_equal(bench->omit.bytes, PG(10));
	assert_int_equal(bench->carried.nr, 10);
	assert_int_equal(pagemap_list(bench->dir.fd, entries, 2), 1);
	check_entry(&entries[0], 0x200, 10, PAGEMAP_PRESENT);
}

static void all_is_left_out(void **state)
{
	struct bench *bench = *state;

	pagemap_put(&bench->map, PG(0x200), 10, PAGEMAP_PRESENT);
	is_elsewhere(bench, 0x200, 10);
	assert_int_equal(run(bench, 10), 0);
	assert_int_equal(bench->omit.pages, 10);
	assert_int_equal(bench->omit.nr, 0);
	assert_int_equal(bench->carried.nr, 0);
}

/* As many pieces as there can be. */
static void every_other_page(void **state)
{
	struct bench *bench = *state;

	pagemap_put(&bench->map, PG(0x1000), 1000, PAGEMAP_PRESENT);
	for (int i = 0; i < 1000; i += 2)
		is_elsewhere(bench, 0x1000 + i, 1);
	assert_int_equal(run(bench, 1000), 0);
	assert_int_equal(bench->omit.nr, 500);
	for (int i = 0; i < 500; i++)
		check_piece(&bench->omit, i, 2 * i + 1, 1);
}

static void a_pages_image_of_another_size(void **state)
{
	struct bench *bench = *state;
	struct pagemap_entry entries[2];

	pagemap_put(&bench->map, PG(0x200), 10, PAGEMAP_PRESENT);
	is_elsewhere(bench, 0x200, 1);
	assert_int_equal(run(bench, 9), -1);
	assert_int_equal(bench->err.code, CODE_CRIU);
	assert_non_null(strstr(bench->err.what, "pages-1.img"));
	/* nothing was written */
	assert_int_equal(pagemap_list(bench->dir.fd, entries, 2), 1);
}

static void a_pagemap_that_is_damaged(void **state)
{
	struct bench *bench = *state;

	pagemap_put(&bench->map, PG(0x300), 1, PAGEMAP_PRESENT);
	pagemap_put(&bench->map, PG(0x200), 1, PAGEMAP_PRESENT);
	assert_int_equal(run(bench, 2), -1);
	assert_int_equal(bench->err.code, CODE_CRIU);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(an_entry_is_divided), BENCH_TEST(nothing_is_left_out),
		BENCH_TEST(all_is_left_out), BENCH_TEST(every_other_page),
		BENCH_TEST(a_pages_image_of_another_size), BENCH_TEST(a_pagemap_that_is_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
