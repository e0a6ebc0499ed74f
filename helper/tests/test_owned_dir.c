// SPDX-License-Identifier: GPL-2.0
/* owned_dir removes the directory that it made, and nothing else. Needs root. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/owned_dir.h"
#include "tests/test_dir.h"

static struct test_dir top;

static int make_top(void **state)
{
	dir_make(&top);
	return 0;
}

static int remove_top(void **state)
{
	dir_remove(&top);
	return 0;
}

static void touch(const char *path)
{
	close(open(path, O_CREAT | O_WRONLY, 0600));
}

static void all_of_it_goes(void **state)
{
	struct owned_dir dir;
	struct error err = { 0 };

	assert_int_equal(owned_dir_make(&dir, dir_path(&top, "base"), "id", &err), 0);
	mkdir(dir_path(&top, "base/id/images"), 0700);
	mkdir(dir_path(&top, "base/id/images/deep"), 0);
	touch(dir_path(&top, "base/id/images/core.img"));
	touch(dir_path(&top, "outside"));
	assert_int_equal(symlink(top.path, dir_path(&top, "base/id/link")), 0);
	owned_dir_remove(&dir);
	owned_dir_close(&dir);
	assert_int_equal(access(dir_path(&top, "base/id"), F_OK), -1);
	assert_int_equal(access(dir_path(&top, "outside"), F_OK), 0);
}

static void what_another_made_stays(void **state)
{
	struct owned_dir dir;
	struct error err = { 0 };

	mkdir(dir_path(&top, "id"), 0700);
	touch(dir_path(&top, "id/theirs"));
	assert_int_equal(owned_dir_make(&dir, top.path, "id", &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	owned_dir_remove(&dir);
	owned_dir_close(&dir);
	assert_int_equal(access(dir_path(&top, "id/theirs"), F_OK), 0);
}

static void what_took_its_name_stays(void **state)
{
	struct owned_dir dir;
	struct error err = { 0 };
	char moved[128];

	assert_int_equal(owned_dir_make(&dir, top.path, "id", &err), 0);
	touch(dir_path(&top, "id/ours"));
	strcpy(moved, dir_path(&top, "moved"));
	assert_int_equal(rename(dir_path(&top, "id"), moved), 0);
	mkdir(dir_path(&top, "id"), 0700);
	touch(dir_path(&top, "id/theirs"));
	owned_dir_remove(&dir);
	owned_dir_close(&dir);
	assert_int_equal(access(dir_path(&top, "id/theirs"), F_OK), 0);
	assert_int_equal(access(dir_path(&top, "moved/ours"), F_OK), -1);
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
