// SPDX-License-Identifier: GPL-2.0
/* The directories that another user could replace. Needs root. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/safe_dir.h"
#include "tests/test_dir.h"

#define OTHER	4711

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

static void taken(const char *path, bool make)
{
	struct error err = { 0 };
	int fd = safe_dir_open(path, make, &err);

	assert_string_equal(err.what, "");
	assert_true(fd >= 0);
	close(fd);
}

static void refused(const char *path, const char *why)
{
	struct error err = { 0 };

	assert_int_equal(safe_dir_open(path, false, &err), -1);
	assert_int_equal(err.code, CODE_NOT_READY);
	assert_non_null(strstr(err.what, why));
	assert_true(*err.hint);
}

static void directory(const char *name, mode_t mode, uid_t owner)
{
	assert_int_equal(mkdir(dir_path(&top, name), 0700), 0);
	assert_int_equal(chmod(dir_path(&top, name), mode), 0);
	assert_int_equal(chown(dir_path(&top, name), owner, owner), 0);
}

static void symbolic(const char *target, const char *name, uid_t owner)
{
	assert_int_equal(symlink(target, dir_path(&top, name)), 0);
	assert_int_equal(lchown(dir_path(&top, name), owner, owner), 0);
}

static void of_root(void **state)
{
	struct stat st;

	taken("/", false);
	taken("/tmp", false);
	taken(dir_path(&top, ""), false);
	refused(dir_path(&top, "new/er"), "No such file");
	taken(dir_path(&top, "new/er"), true);
	assert_int_equal(stat(dir_path(&top, "new"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	refused("tmp", "absolute");
	directory("sticky", 01777, 0);
	taken(dir_path(&top, "sticky"), false);
}

static void of_others(void **state)
{
	directory("theirs", 0755, OTHER);
	refused(dir_path(&top, "theirs"), "belongs to user 4711");
	assert_int_equal(mkdir(dir_path(&top, "theirs/ours"), 0700), 0);
	refused(dir_path(&top, "theirs/ours"), "belongs to user 4711");
	directory("open", 0777, 0);
	refused(dir_path(&top, "open"), "other users can write");
	directory("group", 0770, 0);
	refused(dir_path(&top, "group"), "other users can write");
}

static void links(void **state)
{
	char path[128];

	directory("real", 0700, 0);
	symbolic("real", "ours", 0);
	taken(dir_path(&top, "ours"), false);
	strcpy(path, dir_path(&top, "real"));
	symbolic(path, "absolute", 0);
	taken(dir_path(&top, "absolute/"), false);
	symbolic("real", "theirs", OTHER);
	refused(dir_path(&top, "theirs"), "belongs to user 4711");
	symbolic("loop", "loop", 0);
	refused(dir_path(&top, "loop"), "cannot follow");
	directory("elsewhere", 0777, 0);
	symbolic("elsewhere", "bad", 0);
	refused(dir_path(&top, "bad"), "other users can write");
}

#define TOP_TEST(test) cmocka_unit_test_setup_teardown(test, make_top, remove_top)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOP_TEST(of_root), TOP_TEST(of_others), TOP_TEST(links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
