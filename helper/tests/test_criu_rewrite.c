// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "tests/criu_images.h"

#define PG(n)	((uint64_t)(n) * PAGE_BYTES)

/* heap, then right behind it a file's data and its .bss, a stack, a vdso */
static const struct test_vma vmas[] = {
	{ PG(0x100), PG(0x110), FLAGS_ANON, STATUS_REGULAR },
	{ PG(0x200), PG(0x204), FLAGS_FILE, STATUS_REGULAR },
	{ PG(0x204), PG(0x208), FLAGS_ANON, STATUS_REGULAR },
	{ PG(0x208), PG(0x20c), FLAGS_ANON | MAP_LOCKED, STATUS_REGULAR },
	{ PG(0x300), PG(0x310), FLAGS_ANON | MAP_GROWSDOWN, STATUS_REGULAR },
	{ PG(0x400), PG(0x402), FLAGS_ANON, STATUS_REGULAR | STATUS_VDSO_BIT },
	{ 0xffffffffff600000, 0xffffffffff601000, FLAGS_ANON, STATUS_REGULAR },
};

struct fixture {
	struct test_dir dir;
	struct criu_task task;
	struct page_set lazy;
	struct error err;
	struct image_out map;
};

static void write_task(int dir_fd)
{
	uint32_t tids[] = { TEST_PID, 80, 79 };

	pstree_write(dir_fd, tids, 3);
	core_write(dir_fd, TEST_PID, 1, 0x2000);
	core_write(dir_fd, 79, 0, 0);
	core_write(dir_fd, 80, 0, 0x3000);
	mm_write(dir_fd, vmas, sizeof(vmas) / sizeof(vmas[0]));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	dir_make(&f->dir);
	write_task(f->dir.fd);
	assert_int_equal(criu_task_read(f->dir.fd, TEST_PID, &f->task, &f->err), 0);
	page_set_init(&f->lazy);
	image_out_init(&f->map, IMAGE_PAGEMAP);
	pagemap_put_head(&f->map, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	image_out_free(&f->map);
	page_set_destroy(&f->lazy);
	criu_task_free(&f->task);
	dir_remove(&f->dir);
	free(f);
	return 0;
}

static void test_task(void **state)
{
	struct fixture *f = *state;
	static const bool lazyable[] = { true, false, true, false, true, false };

	assert_int_equal(f->task.pid, TEST_PID);
	assert_false(f->task.was_stopped);
	assert_int_equal(f->task.vmas.nr, 6);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(f->task.lazyable[i], lazyable[i]);
	assert_true(f->task.vmas.vmas[5].special);
	assert_int_equal(f->task.nr_threads, 3);
	assert_int_equal(f->task.nr_rseq, 2);
	assert_int_equal(f->task.rseq[0].addr, 0x2000);
	assert_int_equal(f->task.rseq[0].bytes, 32);
}

static void test_stopped(void **state)
{
	struct fixture *f = *state;
	struct criu_task task;

	core_write(f->dir.fd, TEST_PID, 3, 0);
	assert_int_equal(criu_task_read(f->dir.fd, TEST_PID, &task, &f->err), 0);
	assert_true(task.was_stopped);
	criu_task_free(&task);
	core_write(f->dir.fd, TEST_PID, 6, 0);
	assert_int_equal(criu_task_read(f->dir.fd, TEST_PID, &task, &f->err), -1);
}

/* Each task by its pid; one that had ended has no memory, and is not told. */
static void test_two_tasks(void **state)
{
	struct fixture *f = *state;
	Img__PstreeEntry tree = IMG__PSTREE_ENTRY__INIT;
	uint32_t tids[] = { TEST_PID };
	struct criu_task task;
	struct image_out out;
	pid_t *pids;
	size_t nr;

	image_out_init(&out, IMAGE_PSTREE);
	tree.threads = tids;
	tree.n_threads = 1;
	tree.pid = tids[0] = TEST_PID;
	image_out_add(&out, &tree.base);
	tree.pid = tids[0] = TEST_PID + 1;
	image_out_add(&out, &tree.base);
	assert_int_equal(image_out_store(&out, f->dir.fd, "pstree.img", &f->err), 0);
	image_out_free(&out);
	core_write(f->dir.fd, TEST_PID + 1, 1, 0);
	assert_int_equal(criu_tree_read(f->dir.fd, &pids, &nr, &f->err), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(pids[0], TEST_PID);
	assert_int_equal(pids[1], TEST_PID + 1);
	free(pids);
	core_write(f->dir.fd, TEST_PID + 1, 2, 0);
	assert_int_equal(criu_tree_read(f->dir.fd, &pids, &nr, &f->err), 0);
	assert_int_equal(nr, 1);
	free(pids);
	assert_int_equal(criu_task_read(f->dir.fd, TEST_PID, &task, &f->err), 0);
	criu_task_free(&task);
	assert_int_equal(criu_task_read(f->dir.fd, TEST_PID + 2, &task, &f->err), -1);
	assert_non_null(strstr(f->err.what, "no task 79"));
}

static void test_bad_vmas(void **state)
{
	static const struct test_vma bad[][2] = {
		{ { PG(1), PG(1), 0, 0 }, { PG(2), PG(3), 0, 0 } },
		{ { PG(2), PG(3), 0, 0 }, { PG(1), PG(2), 0, 0 } },
		{ { PG(1), PG(3), 0, 0 }, { PG(2), PG(4), 0, 0 } },
		{ { PG(1) + 1, PG(3), 0, 0 }, { PG(4), PG(5), 0, 0 } },
		{ { PG(1), ~0ULL - 4095, 0, 0 }, { PG(4), PG(5), 0, 0 } },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { 0 };
		struct criu_task task;

		mm_write(f->dir.fd, bad[i], 2);
		assert_int_equal(criu_task_read(f->dir.fd, TEST_PID, &task, &err), -1);
		assert_int_equal(err.code, CODE_CRIU);
	}
}

/* Page n of the mirror is filled with bytes n. */
static int mirror_read(void *ctx, uint64_t addr, uint64_t nr_pages, void *buf,
		       struct error *err)
{
	if (ctx)
		return error_set(err, CODE_NETWORK, NULL, "the source is gone");
	for (uint64_t i = 0; i < nr_pages; i++)
		memset((char *)buf + i * PAGE_BYTES, (addr / PAGE_BYTES + i) & 0xff,
		       PAGE_BYTES);
	return 0;
}

static int rewrite(struct fixture *f, void *ctx)
{
	struct criu_pages pages = { .read = mirror_read, .ctx = ctx };

	assert_int_equal(image_out_store(&f->map, f->dir.fd, "pagemap-77.img", &f->err), 0);
	return criu_rewrite(f->dir.fd, &f->task, &pages, &f->lazy, &f->err);
}

static void check_entries(int dir_fd, const struct pagemap_entry *want, size_t nr)
{
	struct pagemap_entry got[64];

	assert_int_equal(pagemap_list(dir_fd, got, 64), nr);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(got[i].addr, want[i].addr);
		assert_int_equal(got[i].nr_pages, want[i].nr_pages);
		assert_int_equal(got[i].flags, want[i].flags);
	}
}

static void check_parent_pages(int dir_fd, const struct pagemap_entry *entries, size_t nr)
{
	static uint8_t data[64 * PAGE_BYTES];
	size_t bytes = file_read(dir_fd, "pages-77.img", data, sizeof(data)), at = 0;

	for (size_t i = 0; i < nr; i++)
		for (uint64_t page = 0; page < entries[i].nr_pages; page++) {
			uint8_t want = (entries[i].addr / PAGE_BYTES + page) & 0xff;

			assert_int_equal(data[at], want);
			assert_int_equal(data[at + PAGE_BYTES - 1], want);
			at += PAGE_BYTES;
		}
	assert_int_equal(at, bytes);
}

static void test_split(void **state)
{
	static const struct pagemap_entry want[] = {
		{ PG(0x100), 8, PAGEMAP_LAZY },
		{ PG(0x108), 1, PAGEMAP_PRESENT },
		{ PG(0x200), 4, PAGEMAP_PARENT },	/* a file's data, then .bss */
		{ PG(0x204), 4, PAGEMAP_LAZY },
		{ PG(0x208), 2, PAGEMAP_PARENT },	/* locked */
		{ PG(0x20b), 1, PAGEMAP_PRESENT },
		{ PG(0x300), 2, PAGEMAP_LAZY },
		{ PG(0x308), 1, PAGEMAP_PRESENT },
		{ PG(0x400), 2, PAGEMAP_PARENT },
	};
	static const struct pagemap_entry parent[] = {
		{ PG(0x200), 4, PAGEMAP_PRESENT }, { PG(0x208), 2, PAGEMAP_PRESENT },
		{ PG(0x400), 2, PAGEMAP_PRESENT },
	};
	struct fixture *f = *state;
	int parent_fd;

	pagemap_put(&f->map, PG(0x100), 8, PAGEMAP_PARENT);
	pagemap_put(&f->map, PG(0x108), 1, PAGEMAP_PRESENT);
	pagemap_put(&f->map, PG(0x200), 10, PAGEMAP_PARENT);
	pagemap_put(&f->map, PG(0x20b), 1, PAGEMAP_PRESENT | PAGEMAP_LAZY);
	pagemap_put(&f->map, PG(0x300), 2, PAGEMAP_LAZY);
	pagemap_put(&f->map, PG(0x308), 1, PAGEMAP_PRESENT);
	pagemap_put(&f->map, PG(0x400), 2, PAGEMAP_PARENT);
	/* CRIU's link to a directory of the source */
	assert_int_equal(symlinkat("../p1", f->dir.fd, "parent"), 0);
	assert_int_equal(rewrite(f, NULL), 0);
	check_entries(f->dir.fd, want, sizeof(want) / sizeof(want[0]));
	parent_fd = openat(f->dir.fd, "parent", O_DIRECTORY | O_NOFOLLOW);
	assert_true(parent_fd >= 0);
	check_entries(parent_fd, parent, 3);
	check_parent_pages(parent_fd, parent, 3);
	close(parent_fd);
	assert_int_equal(f->lazy.nr, 8 + 4 + 2);
	assert_true(page_set_has(&f->lazy, PG(0x107)));
	assert_false(page_set_has(&f->lazy, PG(0x108)));
	assert_false(page_set_has(&f->lazy, PG(0x208)));
}

/* 40 bytes of an image would fill a set of half a gigabyte. */
static void test_all_of_user_space(void **state)
{
	static const struct test_vma huge[] = {
		{ PG(0x100), 1UL << 46, FLAGS_ANON, STATUS_REGULAR },
	};
	struct fixture *f = *state;

	mm_write(f->dir.fd, huge, 1);
	criu_task_free(&f->task);
	assert_int_equal(criu_task_read(f->dir.fd, TEST_PID, &f->task, &f->err), 0);
	for (uint64_t i = 0; i < 4; i++)
		pagemap_put(&f->map, PG(0x100) + i * PG(1UL << 31), 1UL << 31, PAGEMAP_LAZY);
	assert_int_equal(rewrite(f, NULL), -1);
	assert_int_equal(f->err.code, CODE_CRIU);
	assert_true(f->lazy.nr < 1UL << 31);
}

static void test_no_parent_needed(void **state)
{
	static const struct pagemap_entry want[] = { { PG(0x105), 11, PAGEMAP_LAZY } };
	struct fixture *f = *state;
	struct stat st;

	pagemap_put(&f->map, PG(0x105), 11, PAGEMAP_PARENT);
	assert_int_equal(rewrite(f, NULL), 0);
	check_entries(f->dir.fd, want, 1);
	assert_int_equal(fstatat(f->dir.fd, "parent", &st, 0), -1);
}

/* The forms of 3.17.1: u32 and in_parent, without or with flags; and of 4.2: count in field 5. */
static void test_forms(void **state)
{
	static const struct pagemap_entry want[] = {
		{ PG(0x105), 1, PAGEMAP_PRESENT }, { PG(0x106), 2, PAGEMAP_LAZY },
		{ PG(0x204), 3, PAGEMAP_LAZY },
	};
	struct fixture *f = *state;
	Img__PagemapEntry entry = IMG__PAGEMAP_ENTRY__INIT;

	entry.vaddr = PG(0x105);
	entry.has_nr_pages = true;
	entry.nr_pages = 1;
	image_out_add(&f->map, &entry.base);
	entry.vaddr = PG(0x106);
	entry.nr_pages = 2;
	entry.has_in_parent = true;
	entry.in_parent = true;
	image_out_add(&f->map, &entry.base);
	entry.vaddr = PG(0x204);
	entry.nr_pages = 0;
	entry.has_nr_pages_wide = true;
	entry.nr_pages_wide = 3;
	entry.has_flags = true;
	entry.flags = PAGEMAP_PARENT;
	image_out_add(&f->map, &entry.base);
	assert_int_equal(rewrite(f, NULL), 0);
	check_entries(f->dir.fd, want, 3);
}

static void test_bad_entries(void **state)
{
	static const struct pagemap_entry bad[] = {
		{ PG(0x100) + 1, 1, PAGEMAP_PARENT },	/* not of a page */
		{ PG(0x100), 0, PAGEMAP_PARENT },
		{ PG(0x100), 1, 0 },
		{ PG(0x100), 1, 8 },
		{ PG(0x100), 1, PAGEMAP_PARENT | PAGEMAP_PRESENT },
		{ PG(0x10f), 2, PAGEMAP_PARENT },	/* runs out of its mapping */
		{ PG(0x500), 1, PAGEMAP_LAZY },		/* no mapping */
		{ PG(0x200), 1, PAGEMAP_LAZY },		/* a file's */
		{ PG(0x20), 1, PAGEMAP_PRESENT },	/* out of order */
		{ ~0ULL - 4095, 1, PAGEMAP_PARENT },
		{ PG(0x100), ~0ULL >> 12, PAGEMAP_PARENT },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		Img__PagemapEntry entry = IMG__PAGEMAP_ENTRY__INIT;

		memset(&f->err, 0, sizeof(f->err));
		image_out_free(&f->map);
		image_out_init(&f->map, IMAGE_PAGEMAP);
		pagemap_put_head(&f->map, 1);
		pagemap_put(&f->map, PG(0x30), 1, PAGEMAP_PRESENT);
		entry.vaddr = bad[i].addr;
		entry.has_nr_pages_wide = true;
		entry.nr_pages_wide = bad[i].nr_pages;
		entry.has_flags = true;
		entry.flags = bad[i].flags;
		image_out_add(&f->map, &entry.base);
		assert_int_equal(rewrite(f, NULL), -1);
		assert_int_equal(f->err.code, CODE_CRIU);
	}
}

static void test_pages_fail(void **state)
{
	struct fixture *f = *state;

	pagemap_put(&f->map, PG(0x200), 1, PAGEMAP_PARENT);
	assert_int_equal(rewrite(f, f), -1);
	assert_int_equal(f->err.code, CODE_NETWORK);
}

static void test_headless(void **state)
{
	struct fixture *f = *state;

	image_out_free(&f->map);
	image_out_init(&f->map, IMAGE_PAGEMAP);
	assert_int_equal(rewrite(f, NULL), -1);
}

static void test_garbage(void **state)
{
	struct fixture *f = *state;
	struct criu_pages pages = { .read = mirror_read };
	uint8_t data[256], sound[4096];
	size_t bytes;

	pagemap_put(&f->map, PG(0x100), 8, PAGEMAP_PARENT);
	pagemap_put(&f->map, PG(0x200), 10, PAGEMAP_PARENT);
	assert_int_equal(image_out_store(&f->map, f->dir.fd, "x.img", &f->err), 0);
	bytes = file_read(f->dir.fd, "x.img", sound, sizeof(sound));
	assert_true(bytes < sizeof(data));
	for (size_t bit = 0; bit < bytes * 8; bit++) {
		struct error err = { 0 };

		memcpy(data, sound, bytes);
		data[bit / 8] ^= 1 << bit % 8;
		file_write(f->dir.fd, "pagemap-77.img", data, bytes);
		if (criu_rewrite(f->dir.fd, &f->task, &pages, &f->lazy, &err))
			assert_true(error_is_set(&err));
		unlinkat(f->dir.fd, "parent/pages-77.img", 0);
		unlinkat(f->dir.fd, "parent/pagemap-77.img", 0);
		unlinkat(f->dir.fd, "parent", AT_REMOVEDIR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_task, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_tasks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_vmas, setup, teardown),
		cmocka_unit_test_setup_teardown(test_split, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_of_user_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_parent_needed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forms, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_entries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_headless, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
