// SPDX-License-Identifier: GPL-2.0
/* The limit of CPU time of a control group, in a folder of plain files that look like one. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "os/cgroup_cpu.h"
#include "tests/test_dir.h"

/** struct folder - with the files of cgroup v2, or of v1 */
struct folder {
	struct test_dir dir;
	struct cgroup_cpu cpu;
	struct error err;
};

static void put(const struct folder *folder, const char *name, const char *text)
{
	file_write(folder->dir.fd, name, text, strlen(text));
}

/* The kernel takes what is written whole; of a plain file the end may be older. */
static bool says(const struct folder *folder, const char *name, const char *text)
{
	char found[64] = "";

	file_read(folder->dir.fd, name, found, sizeof(found) - 1);
	return !strncmp(found, text, strlen(text));
}

static void folder_open(struct folder *folder, enum cgroup_kind kind, long old_us)
{
	memset(folder, 0, sizeof(*folder));
	dir_make(&folder->dir);
	folder->cpu = (struct cgroup_cpu){ .kind = kind, .old_us = old_us, .period_us = 100000 };
	strcpy(folder->cpu.dir, folder->dir.path);
}

static void folder_close(struct folder *folder)
{
	dir_remove(&folder->dir);
}

/* Lower what it has to @permille of a CPU. */
static void limit(struct folder *folder, unsigned long permille)
{
	long quota_us = cgroup_cpu_share(&folder->cpu, permille);

	assert_true(quota_us > 0);
	assert_int_equal(cgroup_cpu_set(&folder->cpu, quota_us, &folder->err), 0);
}

static void v2_without_a_limit(void **state)
{
	struct folder folder;

	folder_open(&folder, CGROUP_V2, -1);
	put(&folder, "cpu.max", "max 100000\n");
	limit(&folder, 1500);
	assert_true(says(&folder, "cpu.max", "150000 100000"));
	limit(&folder, 500);
	assert_true(says(&folder, "cpu.max", "50000 100000"));
	assert_int_equal(cgroup_cpu_restore(&folder.cpu, &folder.err), 0);
	assert_true(says(&folder, "cpu.max", "max 100000"));
	put(&folder, "cpu.max", "7000 100000\n");
	assert_int_equal(cgroup_cpu_restore(&folder.cpu, &folder.err), 0);
	assert_true(says(&folder, "cpu.max", "7000 100000"));
	folder_close(&folder);
}

static void v2_with_a_limit(void **state)
{
	struct folder folder;

	folder_open(&folder, CGROUP_V2, 80000);
	put(&folder, "cpu.max", "80000 100000\n");
	assert_int_equal(cgroup_cpu_share(&folder.cpu, 800), 0);
	assert_int_equal(cgroup_cpu_share(&folder.cpu, 2000), 0);
	limit(&folder, 400);
	assert_true(says(&folder, "cpu.max", "40000 100000"));
	assert_int_equal(cgroup_cpu_restore(&folder.cpu, &folder.err), 0);
	assert_true(says(&folder, "cpu.max", "80000 100000"));
	folder_close(&folder);
}

/* Its owner may set one at any time: it is never raised, and stays in the end. */
static void a_limit_that_comes_meanwhile_holds(void **state)
{
	struct folder folder;

	folder_open(&folder, CGROUP_V2, -1);
	put(&folder, "cpu.max", "50000 100000\n");
	assert_int_equal(cgroup_cpu_set(&folder.cpu, 80000, &folder.err), -1);
	assert_true(says(&folder, "cpu.max", "50000 100000"));
	assert_int_equal(cgroup_cpu_set(&folder.cpu, 20000, &folder.err), 0);
	assert_int_equal(cgroup_cpu_restore(&folder.cpu, &folder.err), 0);
	assert_true(says(&folder, "cpu.max", "50000 100000"));
	assert_int_equal(cgroup_cpu_set(&folder.cpu, 20000, &folder.err), 0);
	put(&folder, "cpu.max", "70000 100000\n");
	assert_int_equal(cgroup_cpu_set(&folder.cpu, 10000, &folder.err), -1);
	assert_int_equal(cgroup_cpu_restore(&folder.cpu, &folder.err), 0);
	assert_true(says(&folder, "cpu.max", "70000 100000"));
	folder_close(&folder);
}

static void v1(void **state)
{
	struct folder folder;

	folder_open(&folder, CGROUP_V1_CPU, -1);
	put(&folder, "cpu.cfs_quota_us", "-1\n");
	put(&folder, "cpu.cfs_period_us", "100000\n");
	limit(&folder, 250);
	assert_true(says(&folder, "cpu.cfs_quota_us", "25000"));
	assert_int_equal(cgroup_cpu_restore(&folder.cpu, &folder.err), 0);
	assert_true(says(&folder, "cpu.cfs_quota_us", "-1"));
	assert_true(says(&folder, "cpu.cfs_period_us", "100000"));
	folder_close(&folder);
}

/* The kernel takes a millisecond and more. */
static void least(void **state)
{
	struct cgroup_cpu cpu = { .kind = CGROUP_V2, .old_us = -1, .period_us = 100000 };

	assert_int_equal(cgroup_cpu_share(&cpu, 0), 1000);
	assert_int_equal(cgroup_cpu_share(&cpu, 11), 1100);
	cgroup_cpu_note(&cpu, 1000);
	assert_int_equal(cgroup_cpu_share(&cpu, 0), 0);
}

/* The other process has a copy, and was killed before or behind its last write. */
static void another_process_restores(void **state)
{
	static const char *const found[] = { "50000 100000\n", "25000 100000\n" };
	struct folder folder;

	for (int i = 0; i < 2; i++) {
		folder_open(&folder, CGROUP_V2, -1);
		cgroup_cpu_note(&folder.cpu, 50000);
		cgroup_cpu_note(&folder.cpu, 25000);
		put(&folder, "cpu.max", found[i]);
		assert_int_equal(cgroup_cpu_restore(&folder.cpu, &folder.err), 0);
		assert_true(says(&folder, "cpu.max", "max 100000"));
		folder_close(&folder);
	}
}

static void a_limit_of_others_stays(void **state)
{
	struct folder folder;

	folder_open(&folder, CGROUP_V2, -1);
	put(&folder, "cpu.max", "max 100000\n");
	limit(&folder, 500);
	put(&folder, "cpu.max", "60000 100000\n");
	assert_int_equal(cgroup_cpu_restore(&folder.cpu, &folder.err), 0);
	assert_true(says(&folder, "cpu.max", "60000 100000"));
	folder_close(&folder);
}

static void group_is_gone(void **state)
{
	struct folder folder;

	folder_open(&folder, CGROUP_V2, -1);
	put(&folder, "cpu.max", "max 100000\n");
	limit(&folder, 500);
	folder_close(&folder);
	assert_int_equal(cgroup_cpu_restore(&folder.cpu, &folder.err), 0);
	assert_false(error_is_set(&folder.err));
}

static void cannot_be_written(void **state)
{
	struct folder folder;

	folder_open(&folder, CGROUP_V2, -1);
	strcat(folder.cpu.dir, "/none");
	assert_int_equal(cgroup_cpu_set(&folder.cpu, 5000, &folder.err), -1);
	assert_int_equal(folder.cpu.nr, 0);
	folder.cpu.kind = CGROUP_NONE;
	assert_int_equal(cgroup_cpu_set(&folder.cpu, 5000, &folder.err), -1);
	folder_close(&folder);
}

/* More steps than are remembered could not be undone. */
static void steps_end(void **state)
{
	struct cgroup_cpu cpu = { .kind = CGROUP_V2, .old_us = -1, .period_us = 100000 };

	for (long i = 0; i < CGROUP_CPU_STEPS; i++)
		cgroup_cpu_note(&cpu, 90000 - i);
	assert_int_equal(cgroup_cpu_share(&cpu, 10), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v2_without_a_limit), cmocka_unit_test(v2_with_a_limit),
		cmocka_unit_test(v1), cmocka_unit_test(least), cmocka_unit_test(another_process_restores),
		cmocka_unit_test(a_limit_that_comes_meanwhile_holds), cmocka_unit_test(a_limit_of_others_stays), cmocka_unit_test(group_is_gone),
		cmocka_unit_test(cannot_be_written), cmocka_unit_test(steps_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
