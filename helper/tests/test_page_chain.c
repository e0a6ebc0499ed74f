// SPDX-License-Identifier: GPL-2.0
/* The content of pages in a chain of images, and chains that are damaged. */
#define _GNU_SOURCE
#include "base/page.h"
#include "tests/criu_images.h"
#include "tests/chain_kit.h"
#include "tests/fake_dump.h"

#define PAGE(n)	((n) * PAGE_BYTES)

struct chain {
	struct test_dir dir;
	int first, second;
};

static void put_pages(int dir_fd, const char *name, const char *letters)
{
	static uint8_t content[8 * PAGE_BYTES];

	for (size_t i = 0; i < strlen(letters); i++)
		memset(content + PAGE(i), letters[i], PAGE_BYTES);
	file_write(dir_fd, name, content, PAGE(strlen(letters)));
}

static int sub(struct chain *chain, const char *name)
{
	assert_int_equal(mkdirat(chain->dir.fd, name, 0700), 0);
	return openat(chain->dir.fd, name, O_DIRECTORY | O_CLOEXEC);
}

/* The first has pages 10 to 13 (abcd); the second, whose parent that is, 11 (X) and 20 (Y), and 10, 12, 13 in the parent. */
static int set_up(void **state)
{
	struct chain *chain = calloc(1, sizeof(*chain));
	struct error err = { 0 };
	struct image_out out;

	*state = chain;
	dir_make(&chain->dir);
	chain->first = sub(chain, "1");
	chain->second = sub(chain, "2");
	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put_head(&out, 1);
	pagemap_put(&out, PAGE(10), 4, PAGEMAP_PRESENT | PAGEMAP_LAZY);
	assert_int_equal(image_out_store(&out, chain->first, "pagemap-77.img", &err), 0);
	image_out_free(&out);
	put_pages(chain->first, "pages-1.img", "abcd");
	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put_head(&out, 65537);
	pagemap_put(&out, PAGE(10), 1, PAGEMAP_PARENT);
	pagemap_put(&out, PAGE(11), 1, PAGEMAP_PRESENT);
	pagemap_put(&out, PAGE(12), 2, PAGEMAP_PARENT);
	pagemap_put(&out, PAGE(20), 1, PAGEMAP_PRESENT);
	assert_int_equal(image_out_store(&out, chain->second, "pagemap-77.img", &err), 0);
	image_out_free(&out);
	put_pages(chain->second, "pages-65537.img", "XY");
	assert_int_equal(symlinkat("../1", chain->second, "parent"), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct chain *chain = *state;

	close(chain->first);
	close(chain->second);
	dir_remove(&chain->dir);
	free(chain);
	return 0;
}

/* What the chain has of @nr pages from @first on: a letter a page, '.' for none */
static void read_letters(struct page_chain *parent, uint64_t first, size_t nr, char *letters)
{
	static uint8_t buf[32 * PAGE_BYTES];
	struct error err = { 0 };

	while (nr) {
		struct page_place place;
		uint64_t alike = nr;
		bool has = page_chain_find(parent, PAGE(first), &alike, &place);

		assert_in_range(alike, 1, nr);
		if (has)
			assert_int_equal(page_chain_read(parent, &place, &alike, buf, &err), 1);
		for (uint64_t i = 0; i < alike; i++)
			*letters++ = has ? buf[PAGE(i) + PAGE_BYTES - 1] : '.';
		first += alike;
		nr -= alike;
	}
	*letters = 0;
}

static void each_page_is_found(void **state)
{
	struct chain *chain = *state;
	struct page_chain parent;
	struct error err = { 0 };
	char letters[32];

	assert_int_equal(chain_open_whole(&parent, chain->second, PAGES_OF(TEST_PID), &err), 0);
	assert_int_equal(parent.nr, 2);
	read_letters(&parent, 8, 15, letters);
	assert_string_equal(letters, "..aXcd......Y..");
	page_chain_free(&parent);
	assert_int_equal(chain_open_whole(&parent, chain->first, PAGES_OF(TEST_PID), &err), 0);
	assert_int_equal(parent.nr, 1);
	read_letters(&parent, 11, 4, letters);
	assert_string_equal(letters, "bcd.");
	page_chain_free(&parent);
}

static void another_process_has_none(void **state)
{
	struct chain *chain = *state;
	struct page_chain parent;
	struct error err = { 0 };
	char letters[4];

	assert_int_equal(page_chain_open(&parent, chain->second, PAGES_OF(TEST_PID + 1), &err), 0);
	assert_false(error_is_set(&err));
	read_letters(&parent, 10, 2, letters);
	assert_string_equal(letters, "..");
	page_chain_free(&parent);
}

static void is_damaged(int dir_fd, const char *word)
{
	struct page_chain parent;
	struct error err = { 0 };

	assert_int_equal(chain_open_whole(&parent, dir_fd, PAGES_OF(TEST_PID), &err), -1);
	assert_int_equal(err.code, CODE_CRIU);
	assert_non_null(strstr(err.what, word));
	page_chain_free(&parent);
}

static void damaged_chains_are_refused(void **state)
{
	struct chain *chain = *state;

	put_pages(chain->first, "pages-1.img", "abc");
	is_damaged(chain->second, "cut short");
	unlinkat(chain->first, "pages-1.img", 0);
	is_damaged(chain->second, "pages-1.img");
	unlinkat(chain->first, "pagemap-77.img", 0);
	is_damaged(chain->second, "pagemap-77.img");
	unlinkat(chain->second, "parent", 0);
	is_damaged(chain->second, "the parent of");
	/* a chain that leads to itself */
	assert_int_equal(symlinkat(".", chain->second, "parent"), 0);
	is_damaged(chain->second, "does not end");
}

/* The file was cut after it was looked at. */
static void a_file_that_shrinks_is_noticed(void **state)
{
	struct chain *chain = *state;
	static uint8_t buf[4 * PAGE_BYTES];
	struct page_chain parent;
	struct error err = { 0 };
	struct page_place place;
	uint64_t nr = 2;

	assert_int_equal(chain_open_whole(&parent, chain->second, PAGES_OF(TEST_PID), &err), 0);
	put_pages(chain->first, "pages-1.img", "ab");
	assert_true(page_chain_find(&parent, PAGE(12), &nr, &place));
	assert_int_equal(nr, 2);
	assert_int_equal(page_chain_read(&parent, &place, &nr, buf, &err), 0);
	page_chain_free(&parent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_page_is_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_process_has_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_chains_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_file_that_shrinks_is_noticed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
