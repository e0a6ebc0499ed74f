// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/memory_limit.h"

static char dir[64];

static int make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/test-memory-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char * const names[] = {
		"memory.max", "memory.current", "memory.stat", "memory.limit_in_bytes",
		"memory.usage_in_bytes",
	};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_v2(void **state)
{
	put("memory.max", "1000000\n");
	put("memory.current", "700000\n");
	assert_int_equal(memory_limit_at(dir), 300000);
	/* what a tmpfs holds is no cache */
	put("memory.stat", "anon 100\nfile 250000\nkernel 5\nshmem 50000\n");
	assert_int_equal(memory_limit_at(dir), 500000);
	put("memory.current", "1500000\n");
	assert_int_equal(memory_limit_at(dir), 0);
	put("memory.max", "max\n");
	assert_true(memory_limit_at(dir) == UINT64_MAX);
}

static void test_v1(void **state)
{
	put("memory.limit_in_bytes", "1000000\n");
	put("memory.usage_in_bytes", "700000\n");
	put("memory.stat", "cache 1\nrss 2\ntotal_cache 250000\ntotal_shmem 50000\n");
	assert_int_equal(memory_limit_at(dir), 500000);
	put("memory.limit_in_bytes", "9223372036854771712\n");
	assert_true(memory_limit_at(dir) == UINT64_MAX);
}

static void test_none(void **state)
{
	assert_true(memory_limit_at(dir) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_v2, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_v1, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_none, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
