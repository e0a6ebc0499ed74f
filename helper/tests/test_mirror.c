// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/mirror.h"
#include "pages/sets.h"

#define BASE	0x7f0000000000UL
#define P	PAGE_BYTES

static int open_mirror(void **state)
{
	static struct mirror mirror;
	struct error err = { 0 };

	if (mirror_open(&mirror, &err))
		return -1;
	*state = &mirror;
	return 0;
}

static int close_mirror(void **state)
{
	mirror_close(*state);
	return 0;
}

static void announce(struct mirror *mirror, const struct mirror_range *ranges, size_t nr)
{
	struct error err = { 0 };

	assert_int_equal(mirror_announce(mirror, ranges, nr, &err), 0);
}

static void test_announced(void **state)
{
	struct mirror *mirror = *state;
	const struct mirror_range ranges[] = {
		{ BASE, BASE + 4 * P }, { BASE + 4 * P, BASE + 8 * P },
		{ BASE + 10 * P, BASE + 11 * P },
	};

	announce(mirror, ranges, 3);
	assert_true(mirror_announced(mirror, BASE, 4));
	assert_true(mirror_announced(mirror, BASE + 2 * P, 6));
	assert_false(mirror_announced(mirror, BASE + 2 * P, 7));
	assert_false(mirror_announced(mirror, BASE - P, 1));
	assert_false(mirror_announced(mirror, BASE + 8 * P, 1));
	assert_true(mirror_announced(mirror, BASE + 10 * P, 1));
	assert_false(mirror_announced(mirror, BASE + 10 * P, 2));
	assert_false(mirror_announced(mirror, BASE + 11 * P, 1));
}

static void test_windows_stay(void **state)
{
	struct mirror *mirror = *state;
	const struct mirror_range small[] = { { BASE, BASE + P } };
	const struct mirror_range grown[] = { { BASE, BASE + 1000 * P }, { BASE + 2000 * P, BASE + 2001 * P } };
	const struct mirror_range far[] = { { BASE, BASE + P }, { 0x10000, 0x20000 } };
	const struct mirror_range sorted[] = { far[1], far[0] };
	uint8_t *at;

	announce(mirror, small, 1);
	at = mirror_at(mirror, BASE, 1);
	assert_non_null(at);
	memset(at, 7, P);
	announce(mirror, grown, 2);
	assert_ptr_equal(mirror_at(mirror, BASE, 1), at);
	/* both are in one window */
	assert_ptr_equal(mirror_at(mirror, BASE + 2000 * P, 1), at + 2000 * P);
	announce(mirror, sorted, 2);
	assert_non_null(mirror_at(mirror, 0x10000, 1));
	at = mirror_at(mirror, BASE, 1);
	assert_int_equal(at[P - 1], 7);
	assert_null(mirror_at(mirror, 0x7e0000000000UL, 1));
	announce(mirror, NULL, 0);
	assert_null(mirror_at(mirror, BASE, 1));
}

/* Who receives goes on writing where he was, though the source announces something else. */
static void test_windows_are_held(void **state)
{
	struct mirror *mirror = *state;
	const struct mirror_range range = { BASE, BASE + P };
	struct mirror_windows *windows;
	uint8_t *at, back[P];
	struct error err = { 0 };

	announce(mirror, &range, 1);
	windows = mirror_windows_get(mirror);
	at = mirror_windows_at(windows, BASE, 1);
	announce(mirror, NULL, 0);
	assert_null(mirror_at(mirror, BASE, 1));
	memset(at, 3, P);
	assert_int_equal(mirror_read(mirror, BASE, 1, back, &err), 0);
	assert_int_equal(back[P - 1], 3);
	mirror_windows_put(windows);
}

static void test_write_read_punch(void **state)
{
	struct mirror *mirror = *state;
	const struct mirror_range range = { BASE, BASE + 16 * P };
	uint8_t data[2 * P], back[2 * P];
	struct error err = { 0 };
	struct stat st;

	announce(mirror, &range, 1);
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(mirror_write(mirror, BASE + 3 * P, 2, data, &err), 0);
	assert_true(page_set_has(&mirror->have, BASE + 4 * P));
	assert_int_equal(mirror->have.nr, 2);
	assert_int_equal(mirror_read(mirror, BASE + 3 * P, 2, back, &err), 0);
	assert_memory_equal(data, back, sizeof(data));
	assert_memory_equal(mirror_at(mirror, BASE + 3 * P, 2), data, sizeof(data));
	fstat(mirror->fd, &st);
	assert_int_equal(st.st_blocks, 2 * P / 512);
	mirror_punch(mirror, BASE + 3 * P, 2);
	assert_int_equal(mirror->have.nr, 0);
	fstat(mirror->fd, &st);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(*(uint8_t *)mirror_at(mirror, BASE + 3 * P, 1), 0);
}

static unsigned long page_tables_kib(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[128];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmPTE: %lu", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

/* A source that sends one page in each 2 MiB and takes it back: no budget counts page tables. */
static void test_page_tables_go(void **state)
{
	const uint64_t step = 2UL << 20, nr = 40000;
	struct mirror *mirror = *state;
	const struct mirror_range range = { BASE, BASE + nr * step };
	unsigned long before;
	struct error err = { 0 };

	announce(mirror, &range, 1);
	before = page_tables_kib();
	for (uint64_t addr = BASE; addr < range.end; addr += step) {
		struct mirror_windows *windows = mirror_windows_get(mirror);

		*(uint8_t *)mirror_windows_at(windows, addr, 1) = 1;
		assert_int_equal(mirror_add(mirror, addr, 1, &err), 0);
		mirror_windows_put(windows);
		mirror_punch(mirror, addr, 1);
	}
	/* nobody pays for tables that are gone */
	assert_in_range(mirror->tables.nr, 1, nr / 2);
	/* of all pages it would be 4 KiB each */
	assert_in_range(page_tables_kib() - before, 0, nr * 4 / 2);
}

/* A tmpfs of 16 MiB, of which an eighth is left to others. Needs root. */
static void test_room(void **state)
{
	struct mirror mirror = { .path = (char *)"a file" }, memfd;
	char dir[] = "/tmp/test-mirror-XXXXXX", path[64];
	struct error err = { 0 };

	assert_non_null(mkdtemp(dir));
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("room", dir, "tmpfs", 0, "size=16m"), 0);
	snprintf(path, sizeof(path), "%s/file", dir);
	mirror.fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(mirror_check_room(&mirror, 3584, &err), 0);
	assert_int_equal(mirror_check_room(&mirror, 3585, &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	assert_non_null(strstr(err.what, "16 MiB left"));
	memset(&err, 0, sizeof(err));
	assert_int_equal(fallocate(mirror.fd, 0, 0, 14 << 20), 0);
	assert_int_equal(mirror_check_room(&mirror, 0, &err), 0);
	assert_int_equal(mirror_check_room(&mirror, 1, &err), -1);
	/* of memory without a name the budget knows */
	memset(&err, 0, sizeof(err));
	assert_int_equal(mirror_open(&memfd, &err), 0);
	assert_int_equal(mirror_check_room(&memfd, 1UL << 40, &err), 0);
	mirror_close(&memfd);
	close(mirror.fd);
	assert_int_equal(umount(dir), 0);
	rmdir(dir);
}

static void test_sets(void **state)
{
	struct page_set a, b;
	struct error err = { 0 };
	struct run run;

	page_set_init(&a);
	page_set_init(&b);
	assert_int_equal(page_set_add(&a, BASE, 10000, &err), 0);
	assert_int_equal(page_set_add(&b, BASE + 5 * P, 2, &err), 0);
	assert_int_equal(page_set_add(&b, BASE + 9999 * P, 5, &err), 0);
	assert_true(sets_next_only(&a, &b, 0, USER_END, 0, &run));
	assert_int_equal(run.addr, BASE);
	assert_int_equal(run.nr_pages, 5);
	assert_true(sets_next_only(&a, &b, run_end(&run), USER_END, 0, &run));
	assert_int_equal(run.addr, BASE + 7 * P);
	assert_true(sets_next_both(&a, &b, BASE + 7 * P, USER_END, 0, &run));
	assert_int_equal(run.addr, BASE + 9999 * P);
	assert_int_equal(run.nr_pages, 1);
	assert_false(sets_next_both(&a, &b, run_end(&run), USER_END, 0, &run));
	assert_false(sets_next_only(&a, &b, BASE + 9999 * P, USER_END, 0, &run));
	assert_int_equal(sets_copy(&a, &b, &err), 0);
	assert_int_equal(a.nr, 10004);
	sets_clear(&a);
	assert_int_equal(a.nr, 0);
	assert_false(page_set_has(&a, BASE));
	page_set_destroy(&a);
	page_set_destroy(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_announced, open_mirror, close_mirror),
		cmocka_unit_test_setup_teardown(test_windows_stay, open_mirror, close_mirror),
		cmocka_unit_test_setup_teardown(test_windows_are_held, open_mirror, close_mirror),
		cmocka_unit_test_setup_teardown(test_write_read_punch, open_mirror, close_mirror),
		cmocka_unit_test_setup_teardown(test_page_tables_go, open_mirror, close_mirror),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
