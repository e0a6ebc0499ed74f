// SPDX-License-Identifier: GPL-2.0
/* What a parent's pagemap lists, and parents that are damaged. */
#define _GNU_SOURCE
#include "services/parent_map.h"
#include "tests/criu_images.h"
#include "tests/fake_dump.h"

static void write_parent(int dir_fd, uint64_t pages_bytes)
{
	static const uint8_t content[3 * PAGE_BYTES];
	struct error err = { 0 };
	struct image_out out;

	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put_head(&out, 5);
	pagemap_put(&out, 4 * PAGE_BYTES, 2, PAGEMAP_PRESENT);
	pagemap_put(&out, 6 * PAGE_BYTES, 10, PAGEMAP_PARENT);
	pagemap_put(&out, 100 * PAGE_BYTES, 1, PAGEMAP_PRESENT | PAGEMAP_LAZY);
	pagemap_put(&out, 101 * PAGE_BYTES, 5, PAGEMAP_LAZY);
	assert_int_equal(image_out_store(&out, dir_fd, "pagemap-77.img", &err), 0);
	image_out_free(&out);
	file_write(dir_fd, "pages-5.img", content, pages_bytes);
}

static int read_it(int dir_fd, struct error *err)
{
	struct parent_map map;
	int ret = parent_map_read(&map, dir_fd, PAGES_OF(TEST_PID), err);

	parent_map_free(&map);
	return ret;
}

static void map_test_has(void **state)
{
	struct error err = { 0 };
	struct parent_map map;
	struct test_dir dir;

	dir_make(&dir);
	write_parent(dir.fd, 3 * PAGE_BYTES);
	assert_int_equal(parent_map_read(&map, dir.fd, PAGES_OF(TEST_PID), &err), 1);
	assert_int_equal(map.nr, 2);
	assert_true(parent_map_has(&map, 4 * PAGE_BYTES, 12));
	assert_true(parent_map_has(&map, 15 * PAGE_BYTES, 1));
	assert_false(parent_map_has(&map, 4 * PAGE_BYTES, 13));
	assert_false(parent_map_has(&map, 3 * PAGE_BYTES, 2));
	assert_false(parent_map_has(&map, 16 * PAGE_BYTES, 1));
	assert_true(parent_map_has(&map, 100 * PAGE_BYTES, 1));
	assert_false(parent_map_has(&map, 101 * PAGE_BYTES, 1));
	parent_map_free(&map);
	assert_int_equal(parent_map_read(&map, dir.fd, PAGES_OF(TEST_PID + 1), &err), 0);
	assert_false(error_is_set(&err));
	dir_remove(&dir);
}

static void map_test_short_pages(void **state)
{
	struct error err = { 0 };
	struct test_dir dir;

	dir_make(&dir);
	write_parent(dir.fd, 2 * PAGE_BYTES);
	assert_int_equal(read_it(dir.fd, &err), -1);
	assert_non_null(strstr(err.what, "pages-5.img is cut short"));
	unlinkat(dir.fd, "pages-5.img", 0);
	memset(&err, 0, sizeof(err));
	assert_int_equal(read_it(dir.fd, &err), -1);
	dir_remove(&dir);
}

static void map_test_damaged(void **state)
{
	uint8_t image[256];
	struct test_dir dir;
	size_t bytes;

	dir_make(&dir);
	write_parent(dir.fd, 3 * PAGE_BYTES);
	bytes = file_read(dir.fd, "pagemap-77.img", image, sizeof(image));
	assert_true(bytes > 8 && bytes < sizeof(image));
	/* cut anywhere but between two records it is refused; there it has fewer entries */
	for (size_t cut = 0; cut < bytes; cut++) {
		struct error err = { 0 };

		file_write(dir.fd, "pagemap-77.img", image, cut);
		if (read_it(dir.fd, &err) < 0)
			assert_true(error_is_set(&err));
		else
			assert_true(cut > 8);
	}
	dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_test_has),
		cmocka_unit_test(map_test_short_pages),
		cmocka_unit_test(map_test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
