// SPDX-License-Identifier: GPL-2.0
/* Pages of this process, carried into an image: copied, by reference, left to a parent, left out. */
#define _GNU_SOURCE
#include <sys/uio.h>
#include "base/page.h"
#include "services/page_copier.h"
#include "tests/criu_images.h"
#include "tests/chain_kit.h"
#include "tests/fake_dump.h"

#define PAGES	700UL	/* more than a batch */

/* A backend whose memory is this process's own; page @hidden nobody may read, references stop at page @stuck. */
static struct bench {
	struct test_dir dir;
	struct backend backend;
	struct image_writer writer;
	struct pages_file file;
	struct page_chain parent;
	struct page_copier copier;
	uint8_t *memory;
	size_t hidden, stuck, refs;
	bool there;
} bench;

static uint64_t page_at(size_t i)
{
	return (uintptr_t)bench.memory + i * PAGE_BYTES;
}

static int bench_populated(struct backend *backend, uint64_t start, uint64_t end, backend_runs_fn fn, void *ctx,
			   struct error *err)
{
	struct splice_vm_run run = { .addr = start, .nr_pages = 1 };

	return bench.there ? fn(ctx, &run, 1, err) : 0;
}

/* As /proc/PID/mem: also what the process may not read itself. */
static int bench_read(struct backend *backend, uint64_t addr, void *buf, size_t bytes, size_t *done,
		      struct error *err)
{
	*done = 0;
	for (; *done < bytes && addr != page_at(bench.hidden); addr += PAGE_BYTES, *done += PAGE_BYTES) {
		mprotect((void *)addr, PAGE_BYTES, PROT_READ);
		memcpy((uint8_t *)buf + *done, (void *)addr, PAGE_BYTES);
	}
	return 0;
}

static int bench_splice(struct backend *backend, uint64_t addr, size_t nr, int pipe_fd, size_t *done,
			struct error *err)
{
	*done = 0;
	for (; *done < nr && addr != page_at(bench.stuck); addr += PAGE_BYTES, ++*done) {
		assert_int_equal(write(pipe_fd, (void *)addr, PAGE_BYTES), PAGE_BYTES);
		bench.refs++;
	}
	return 0;
}

static const struct backend_ops bench_ops = { .populated = bench_populated, .read = bench_read };
static const struct backend_ops bench_ref_ops = {
	.populated = bench_populated, .read = bench_read, .splice = bench_splice,
};

static void begin(bool buffered)
{
	const struct image_made made = { .target = PAGES_OF(TEST_PID), .pages_id = 5 };
	struct error err = { 0 };

	assert_int_equal(image_writer_open(&bench.writer, bench.dir.fd, &made, &err), 0);
	assert_int_equal(pages_file_init(&bench.file, true, buffered, &err), 0);
	assert_int_equal(pages_file_begin(&bench.file, bench.writer.pages_fd, &err), 0);
	assert_int_equal(page_copier_init(&bench.copier, &bench.backend, &bench.writer, &bench.file, &bench.parent,
					  &err), 0);
}

static int set_up(void **state)
{
	memset(&bench, 0, sizeof(bench));
	dir_make(&bench.dir);
	bench.memory = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(bench.memory != MAP_FAILED);
	for (size_t i = 0; i < PAGES; i++)
		memset(bench.memory + i * PAGE_BYTES, 'a' + i % 23, PAGE_BYTES);
	bench.hidden = bench.stuck = PAGES;
	bench.there = true;
	bench.backend = (struct backend){ .ops = &bench_ops, .pid = getpid() };
	return 0;
}

static int tear_down(void **state)
{
	image_writer_drop(&bench.writer);
	page_copier_free(&bench.copier);
	pages_file_free(&bench.file);
	page_chain_free(&bench.parent);
	munmap(bench.memory, PAGES * PAGE_BYTES);
	dir_remove(&bench.dir);
	return 0;
}

static void add(size_t first, size_t nr)
{
	struct error err = { 0 };

	assert_int_equal(page_copier_add(&bench.copier, page_at(first), nr, &err), 0);
}

static void finish(void)
{
	struct error err = { 0 };

	assert_int_equal(page_copier_finish(&bench.copier, &err), 0);
	assert_int_equal(image_writer_finish(&bench.writer, &err), 0);
	assert_int_equal(renameat(bench.dir.fd, "pagemap-77.img.part", bench.dir.fd, "pagemap-77.img"), 0);
	assert_int_equal(renameat(bench.dir.fd, "pages-5.img.part", bench.dir.fd, "pages-5.img"), 0);
}

/* Return: whether the image has page @i, as it is in memory */
static bool has(size_t i)
{
	static uint8_t buf[PAGE_BYTES];
	bool there = chain_read_page(bench.dir.fd, PAGES_OF(TEST_PID), page_at(i), buf);

	if (there)
		assert_memory_equal(buf, bench.memory + i * PAGE_BYTES, PAGE_BYTES);
	return there;
}

static void all_but(size_t from, size_t to)
{
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(has(i), i < from || i >= to);
}

static void copies_all(void **state)
{
	begin(true);
	add(0, 3);
	add(3, PAGES - 3);
	finish();
	all_but(PAGES, PAGES);
	assert_int_equal(bench.copier.counts.copied, PAGES);
	assert_int_equal(bench.writer.counts.present, PAGES);
}

static void copies_all_past_the_cache(void **state)
{
	begin(false);
	for (size_t i = 0; i < PAGES; i += 2)
		add(i, 1);
	finish();
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(has(i), !(i % 2));
}

/* Memory without PROT_READ, by the backend; and a page that not even it reads. */
static void reads_by_force(void **state)
{
	begin(true);
	mprotect(bench.memory + 100 * PAGE_BYTES, 50 * PAGE_BYTES, PROT_NONE);
	bench.hidden = 120;
	add(0, PAGES);
	finish();
	mprotect(bench.memory, PAGES * PAGE_BYTES, PROT_READ);
	all_but(120, 121);
	assert_int_equal(bench.copier.counts.unreadable, 1);
	assert_int_equal(bench.copier.nr_left, 1);
	assert_int_equal(bench.copier.left[0].addr, page_at(120));
	assert_int_equal(bench.copier.left[0].nr, 1);
}

static void leaves_out_what_vanished(void **state)
{
	begin(true);
	munmap(bench.memory + 10 * PAGE_BYTES, PAGE_BYTES);
	bench.hidden = 10;
	bench.there = false;
	add(0, PAGES);
	finish();
	all_but(10, 11);
	assert_int_equal(bench.copier.counts.vanished, 1);
	assert_int_equal(bench.copier.nr_left, 0);
}

/* A page that cannot go by reference is copied, in its place. @buffered: through the page cache, of any file system */
static void refer_where_it_can(bool buffered)
{
	bench.backend.ops = &bench_ref_ops;
	bench.stuck = 300;
	begin(buffered);
	if (!buffered && !bench.copier.references)
		skip();
	assert_true(bench.copier.references);
	add(0, 500);
	add(520, PAGES - 520);
	finish();
	all_but(500, 520);
	assert_true(bench.copier.counts.by_reference > 500);
	assert_int_equal(bench.copier.counts.by_reference, bench.refs);
	assert_int_equal(bench.copier.counts.by_reference + bench.copier.counts.copied, PAGES - 20);
	assert_int_equal(bench.copier.counts.copied, 32);
}

static void refers_through_the_cache(void **state)
{
	refer_where_it_can(true);
}

static void refers_past_the_cache(void **state)
{
	refer_where_it_can(false);
}

static void leaves_the_same_to_the_parent(void **state)
{
	struct error err = { 0 };
	struct stat st;

	begin(true);
	add(0, 400);
	finish();
	page_copier_free(&bench.copier);
	pages_file_free(&bench.file);
	assert_int_equal(chain_open_whole(&bench.parent, bench.dir.fd, PAGES_OF(TEST_PID), &err), 0);
	bench.memory[399 * PAGE_BYTES + 4095] ^= 1;
	bench.memory[7 * PAGE_BYTES] ^= 1;
	begin(true);
	add(0, PAGES);
	finish();
	assert_int_equal(bench.copier.counts.same, 398);
	assert_int_equal(bench.copier.counts.copied, PAGES - 398);
	assert_int_equal(bench.writer.counts.in_parent, 398);
	assert_int_equal(fstatat(bench.dir.fd, "pages-5.img", &st, 0), 0);
	assert_int_equal(st.st_size, (PAGES - 398) * PAGE_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(copies_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(copies_all_past_the_cache, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reads_by_force, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leaves_out_what_vanished, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refers_through_the_cache, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refers_past_the_cache, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leaves_the_same_to_the_parent, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
