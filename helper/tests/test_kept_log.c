// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
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
#include "criu/kept_log.h"

static void write_log(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void assert_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "r");
	char got[64] = "";

	assert_non_null(file);
	assert_true(fread(got, 1, sizeof(got) - 1, file) > 0);
	fclose(file);
	assert_string_equal(got, text);
}

static void the_log_outlives_its_directory(void **state)
{
	char dir[] = "/tmp/test_criu_log.XXXXXX", log[64], keep[64], kept[PATH_MAX];
	struct stat st;

	assert_non_null(mkdtemp(dir));
	snprintf(log, sizeof(log), "%s/restore.log", dir);
	snprintf(keep, sizeof(keep), "%s.kept", dir);
	for (int i = 0; i < 2; i++) {
		write_log(log, i ? "second" : "the first one");
		criu_log_keep_in(keep, log, kept, sizeof(kept));
		assert_int_equal(unlink(log), 0);
		assert_text(kept, i ? "second" : "the first one");
		assert_int_equal(stat(kept, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	assert_int_equal(rmdir(dir), 0);
	/* what cannot be copied keeps its own name */
	criu_log_keep_in(keep, log, kept, sizeof(kept));
	assert_string_equal(kept, log);
	snprintf(log, sizeof(log), "%.40s/restore.log", keep);
	assert_int_equal(unlink(log), 0);
	assert_int_equal(rmdir(keep), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_outlives_its_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
