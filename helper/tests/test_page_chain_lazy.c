// SPDX-License-Identifier: GPL-2.0
/* Where the pages of a lazy restore are in images: here, in a parent, later, or nowhere. */
#define _GNU_SOURCE
#include "services/page_chain.h"
#include "tests/criu_images.h"

static struct test_dir dir;

static void put_pages(int dir_fd, uint8_t first, size_t nr)
{
	uint8_t *pages = calloc(nr, PAGE_BYTES);

	for (size_t i = 0; i < nr; i++)
		memset(pages + i * PAGE_BYTES, first + i, PAGE_BYTES);
	file_write(dir_fd, "pages-5.img", pages, nr * PAGE_BYTES);
	free(pages);
}

static void put_pagemap(int dir_fd, const struct pagemap_entry *entries, size_t nr)
{
	struct error err = { 0 };
	struct image_out out;

	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put_head(&out, 5);
	for (size_t i = 0; i < nr; i++)
		pagemap_put(&out, entries[i].addr * PAGE_BYTES, entries[i].nr_pages, entries[i].flags);
	assert_int_equal(image_out_store(&out, dir_fd, "pagemap-77.img", &err), 0);
	image_out_free(&out);
}

/* Pages 4 and 5 are the restore's own, 6 to 8 are here, 20 to 29 in the parent, of which 22 in its parent. */
static void put_family(void)
{
	const struct pagemap_entry top[] = {
		{ 4, 2, PAGEMAP_PRESENT }, { 6, 3, PAGEMAP_PRESENT | PAGEMAP_LAZY },
		{ 20, 10, PAGEMAP_PARENT | PAGEMAP_LAZY },
	};
	const struct pagemap_entry parent[] = {
		{ 20, 2, PAGEMAP_PRESENT | PAGEMAP_LAZY }, { 22, 1, PAGEMAP_PARENT },
		{ 23, 7, PAGEMAP_PRESENT },
	};
	const struct pagemap_entry oldest[] = { { 22, 1, PAGEMAP_PRESENT } };
	int fd, older;

	dir_make(&dir);
	put_pagemap(dir.fd, top, 3);
	put_pages(dir.fd, 1, 5);
	assert_int_equal(mkdirat(dir.fd, "parent", 0700), 0);
	fd = openat(dir.fd, "parent", O_DIRECTORY);
	put_pagemap(fd, parent, 3);
	put_pages(fd, 51, 9);
	assert_int_equal(mkdirat(fd, "parent", 0700), 0);
	older = openat(fd, "parent", O_DIRECTORY);
	put_pagemap(older, oldest, 1);
	put_pages(older, 101, 1);
	close(older);
	close(fd);
}

static void open_all(struct page_chain *images)
{
	struct error err = { 0 };

	assert_int_equal(page_chain_open_task(images, dir.fd, TEST_PID, &err), 0);
	assert_int_equal(page_chain_climb(images, &err), 0);
}

static int read_some(struct page_chain *images, uint64_t page, uint64_t *nr, void *buf)
{
	struct error err = { 0 };
	struct page_place place;

	assert_true(page_chain_find(images, page * PAGE_BYTES, nr, &place));
	return page_chain_read(images, &place, nr, buf, &err);
}

static void expect(struct page_chain *images, uint64_t page, uint64_t want, uint64_t nr, uint8_t first)
{
	static uint8_t buf[16 * PAGE_BYTES];

	assert_int_equal(read_some(images, page, &want, buf), 1);
	assert_int_equal(want, nr);
	for (uint64_t i = 0; i < nr; i++)
		assert_int_equal(buf[(i + 1) * PAGE_BYTES - 1], first + i);
}

static void images_test_read(void **state)
{
	struct error err = { 0 };
	struct page_chain images;
	struct page_set set;

	put_family();
	open_all(&images);
	assert_int_equal(images.nr, 3);
	assert_false(images.list->map.wide);
	page_set_init(&set);
	assert_int_equal(page_chain_lacking(&images, &set, &err), 0);
	assert_int_equal(set.nr, 13);
	assert_false(page_set_has(&set, 4 * PAGE_BYTES));
	page_set_destroy(&set);
	assert_int_equal(page_chain_check_lacking(&images, &err), 0);
	expect(&images, 6, 16, 3, 3);
	expect(&images, 7, 1, 1, 4);
	expect(&images, 20, 16, 2, 51);
	expect(&images, 22, 16, 1, 101);
	expect(&images, 24, 2, 2, 54);
	page_chain_free(&images);
	dir_remove(&dir);
}

/* A part of the file is there, and then all of it. */
static void images_test_late(void **state)
{
	uint8_t buf[4 * PAGE_BYTES];
	struct error err = { 0 };
	struct page_chain images;
	uint64_t nr = 3;

	put_family();
	assert_int_equal(unlinkat(dir.fd, "pages-5.img", 0), 0);
	open_all(&images);
	assert_int_equal(page_chain_check_lacking(&images, &err), 0);
	assert_int_equal(read_some(&images, 6, &nr, buf), 0);
	put_pages(dir.fd, 1, 3);
	expect(&images, 6, 3, 1, 3);
	nr = 1;
	assert_int_equal(read_some(&images, 7, &nr, buf), 0);
	put_pages(dir.fd, 1, 5);
	expect(&images, 7, 3, 2, 4);
	page_chain_free(&images);
	dir_remove(&dir);
}

static void images_test_nowhere(void **state)
{
	const struct pagemap_entry lazy[] = { { 6, 3, PAGEMAP_LAZY } };
	const struct pagemap_entry gone[] = { { 6, 3, PAGEMAP_LAZY | PAGEMAP_PARENT } };
	struct error err = { 0 };
	struct page_chain images;

	dir_make(&dir);
	assert_int_equal(page_chain_open_task(&images, dir.fd, TEST_PID, &err), -1);
	assert_non_null(strstr(err.what, "pagemap-77.img"));
	memset(&err, 0, sizeof(err));
	put_pagemap(dir.fd, lazy, 1);
	open_all(&images);
	assert_int_equal(page_chain_check_lacking(&images, &err), -1);
	assert_non_null(strstr(err.hint, "--address"));
	page_chain_free(&images);
	memset(&err, 0, sizeof(err));
	put_pagemap(dir.fd, gone, 1);
	/* a circle of parents ends */
	assert_int_equal(symlinkat(".", dir.fd, "parent"), 0);
	assert_int_equal(page_chain_open_task(&images, dir.fd, TEST_PID, &err), 0);
	assert_int_equal(page_chain_climb(&images, &err), -1);
	assert_int_equal(err.code, CODE_CRIU);
	page_chain_free(&images);
	unlinkat(dir.fd, "parent", 0);
	dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_test_read),
		cmocka_unit_test(images_test_late),
		cmocka_unit_test(images_test_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
