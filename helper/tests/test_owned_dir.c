// SPDX-License-Identifier: GPL-2.0
/* owned_dir removes the directory that it made, and nothing else. Needs root. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
#include "os/owned_dir.h"

static char top[64];

static int make_top(void **state)
{
	strcpy(top, "/tmp/test-owned-XXXXXX");
	return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", top);
	return system(command);
}

static const char *in_top(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static void touch(const char *path)
{
	close(open(path, O_CREAT | O_WRONLY, 0600));
}

static void all_of_it_goes(void **state)
{
	struct owned_dir dir;
	struct error err = { 0 };

	assert_int_equal(owned_dir_make(&dir, in_top("base"), "id", &err), 0);
	mkdir(in_top("base/id/images"), 0700);
	mkdir(in_top("base/id/images/deep"), 0);
	touch(in_top("base/id/images/core.img"));
	touch(in_top("outside"));
	assert_int_equal(symlink(top, in_top("base/id/link")), 0);
	owned_dir_remove(&dir);
	owned_dir_close(&dir);
	assert_int_equal(access(in_top("base/id"), F_OK), -1);
	assert_int_equal(access(in_top("outside"), F_OK), 0);
}

static void what_another_made_stays(void **state)
{
	struct owned_dir dir;
	struct error err = { 0 };

	mkdir(in_top("id"), 0700);
	touch(in_top("id/theirs"));
	assert_int_equal(owned_dir_make(&dir, top, "id", &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	owned_dir_remove(&dir);
	owned_dir_close(&dir);
	assert_int_equal(access(in_top("id/theirs"), F_OK), 0);
}

static void what_took_its_name_stays(void **state)
{
	struct owned_dir dir;
	struct error err = { 0 };
	char moved[128];

	assert_int_equal(owned_dir_make(&dir, top, "id", &err), 0);
	touch(in_top("id/ours"));
	strcpy(moved, in_top("moved"));
	assert_int_equal(rename(in_top("id"), moved), 0);
	mkdir(in_top("id"), 0700);
	touch(in_top("id/theirs"));
	owned_dir_remove(&dir);
	owned_dir_close(&dir);
	assert_int_equal(access(in_top("id/theirs"), F_OK), 0);
	assert_int_equal(access(in_top("moved/ours"), F_OK), -1);
}

#define TOP_TEST(test) cmocka_unit_test_setup_teardown(test, make_top, remove_top)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOP_TEST(all_of_it_goes), TOP_TEST(what_another_made_stays),
		TOP_TEST(what_took_its_name_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
