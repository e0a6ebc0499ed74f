// SPDX-License-Identifier: GPL-2.0
/* The directories that another user could replace. Needs root. */
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
#include "os/safe_dir.h"

#define OTHER	4711

static char top[64];

static int make_top(void **state)
{
	strcpy(top, "/tmp/test-safe-XXXXXX");
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
	assert_int_equal(mkdir(in_top(name), 0700), 0);
	assert_int_equal(chmod(in_top(name), mode), 0);
	assert_int_equal(chown(in_top(name), owner, owner), 0);
}

static void symbolic(const char *target, const char *name, uid_t owner)
{
	assert_int_equal(symlink(target, in_top(name)), 0);
	assert_int_equal(lchown(in_top(name), owner, owner), 0);
}

static void of_root(void **state)
{
	struct stat st;

	taken("/", false);
	taken("/tmp", false);
	taken(in_top(""), false);
	refused(in_top("new/er"), "No such file");
	taken(in_top("new/er"), true);
	assert_int_equal(stat(in_top("new"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	refused("tmp", "absolute");
	directory("sticky", 01777, 0);
	taken(in_top("sticky"), false);
}

static void of_others(void **state)
{
	directory("theirs", 0755, OTHER);
	refused(in_top("theirs"), "belongs to user 4711");
	assert_int_equal(mkdir(in_top("theirs/ours"), 0700), 0);
	refused(in_top("theirs/ours"), "belongs to user 4711");
	directory("open", 0777, 0);
	refused(in_top("open"), "other users can write");
	directory("group", 0770, 0);
	refused(in_top("group"), "other users can write");
}

static void links(void **state)
{
	char path[128];

	directory("real", 0700, 0);
	symbolic("real", "ours", 0);
	taken(in_top("ours"), false);
	strcpy(path, in_top("real"));
	symbolic(path, "absolute", 0);
	taken(in_top("absolute/"), false);
	symbolic("real", "theirs", OTHER);
	refused(in_top("theirs"), "belongs to user 4711");
	symbolic("loop", "loop", 0);
	refused(in_top("loop"), "cannot follow");
	directory("elsewhere", 0777, 0);
	symbolic("elsewhere", "bad", 0);
	refused(in_top("bad"), "other users can write");
}

#define TOP_TEST(test) cmocka_unit_test_setup_teardown(test, make_top, remove_top)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOP_TEST(of_root), TOP_TEST(of_others), TOP_TEST(links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
