// SPDX-License-Identifier: GPL-2.0
/* Sets of CPUs: as text, and those that a control group leaves. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/attributes.h"

static void cpus_lists(void **state)
{
	static const char *const good[] = { "0", "0-3", "0-3,8,17-8191", "5,7" };
	static const char *const bad[] = { "x", "0-", "3-1", "8192", "0,x", "-1" };
	char text[CPUS_TEXT_BYTES];
	struct cpus cpus;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(cpus_parse(&cpus, good[i]), 0);
		cpus_print(&cpus, text, sizeof(text));
		assert_string_equal(text, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(cpus_parse(&cpus, bad[i]), -1);
	assert_int_equal(cpus_parse(&cpus, "0-3,9"), 0);
	assert_int_equal(cpus_bytes(&cpus), 2);
	assert_int_equal(cpus.bits[0], 0x0f);
	assert_int_equal(cpus.bits[1], 0x02);
}

static void cpus_text_is_cut(void **state)
{
	char text[CPUS_TEXT_BYTES];
	struct cpus cpus;

	memset(cpus.bits, 0x55, sizeof(cpus.bits));
	cpus_print(&cpus, text, sizeof(text));
	assert_true(strlen(text) < sizeof(text));
	assert_non_null(strstr(text, "..."));
}

/* A cgroup without CPUs of its own has those of the next one upwards. */
static void cpus_of_cgroup(void **state)
{
	char dir[] = "/tmp/cpus-test-XXXXXX", path[64], inner[64];
	struct cpus cpus, online;
	struct error err = { 0 };
	FILE *file;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/cpuset.cpus.effective", dir);
	snprintf(inner, sizeof(inner), "%s/inner", dir);
	assert_int_equal(mkdir(inner, 0700), 0);
	assert_int_equal(cpus_available(&online, "", &err), 0);
	file = fopen(path, "w");
	fputs("0\n", file);
	fclose(file);
	assert_int_equal(cpus_available(&cpus, inner, &err), 0);
	assert_int_equal(cpus_bytes(&cpus), 1);
	assert_int_equal(cpus.bits[0], 1);
	unlink(path);
	assert_int_equal(cpus_available(&cpus, inner, &err), 0);
	assert_memory_equal(&cpus, &online, sizeof(cpus));
	rmdir(inner);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus_lists),
		cmocka_unit_test(cpus_text_is_cut),
		cmocka_unit_test(cpus_of_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
