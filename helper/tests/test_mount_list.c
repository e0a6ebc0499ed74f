// SPDX-License-Identifier: GPL-2.0
/* Mounts as the kernel lists them: which one a path is on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "os/mount_list.h"
#include "tests/test_dir.h"

/* /a/b is hidden by the mount on /a; what is on "/" a second time is no place to begin in. */
static const char lines[] =
	"20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"21 20 8:2 / /a/b rw - ext4 /dev/sda2 rw\n"
	"22 20 0:31 /sub /a\\040c rw master:7 - tmpfs tmpfs rw\n"
	"23 20 0:32 / /a rw shared:2 master:3 - tmpfs tmpfs rw\n"
	"24 23 0:33 / /a/d rw - tmpfs tmpfs rw\n";

static struct test_dir dir;

static void read_lines(struct mount_list *list, const char *text)
{
	struct error err = { 0 };
	char path[64];

	file_write(dir.fd, "mountinfo", text, strlen(text));
	snprintf(path, sizeof(path), "%s/mountinfo", dir.path);
	assert_int_equal(mount_list_read(list, path, &err), 0);
}

static int set_up(void **state)
{
	dir_make(&dir);
	return 0;
}

static int tear_down(void **state)
{
	dir_remove(&dir);
	return 0;
}

static void each_line_is_a_mount(void **state)
{
	struct mount_list list;

	read_lines(&list, lines);
	assert_int_equal(list.nr, 5);
	assert_int_equal(list.mounts[0].id, 20);
	assert_int_equal(list.mounts[0].shared, 1);
	assert_int_equal(list.mounts[0].master, 0);
	assert_string_equal(list.mounts[2].target, "/a c");
	assert_string_equal(list.mounts[2].root, "/sub");
	assert_int_equal(list.mounts[2].master, 7);
	assert_int_equal(list.mounts[3].shared, 2);
	assert_int_equal(list.mounts[3].master, 3);
	assert_string_equal(list.mounts[3].type, "tmpfs");
	assert_int_equal(list.mounts[4].parent, 23);
	mount_list_free(&list);
}

static void a_path_is_on_the_mount_that_it_comes_through(void **state)
{
	struct mount_list list;
	const char *rest;

	read_lines(&list, lines);
	assert_int_equal(mount_list_root(&list), 0);
	assert_int_equal(mount_list_find(&list, "/x/y", &rest), 0);
	assert_string_equal(rest, "/x/y");
	assert_int_equal(mount_list_find(&list, "/a/b/c", &rest), 3);
	assert_string_equal(rest, "/b/c");
	assert_int_equal(mount_list_find(&list, "/a/d", &rest), 4);
	assert_string_equal(rest, "");
	assert_int_equal(mount_list_find(&list, "/a c/e", &rest), 2);
	assert_int_equal(mount_list_find(&list, "/ab", &rest), 0);
	mount_list_free(&list);
}

static void lists_are_compared(void **state)
{
	struct mount_list list, other;
	char changed[sizeof(lines)];

	read_lines(&list, lines);
	read_lines(&other, lines);
	assert_true(mount_list_same(&list, &other));
	mount_list_free(&other);
	strcpy(changed, lines);
	strstr(changed, "shared:2")[7] = '4';
	read_lines(&other, changed);
	assert_false(mount_list_same(&list, &other));
	mount_list_free(&other);
	*strstr(changed, "24 23") = 0;
	read_lines(&other, changed);
	assert_false(mount_list_same(&list, &other));
	mount_list_free(&other);
	mount_list_free(&list);
}

static void below_is_not_beside(void **state)
{
	assert_string_equal(path_below("/a/b", "/a"), "/b");
	assert_string_equal(path_below("/a", "/a"), "");
	assert_string_equal(path_below("/a", "/"), "/a");
	assert_null(path_below("/ab", "/a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_is_a_mount),
		cmocka_unit_test(a_path_is_on_the_mount_that_it_comes_through),
		cmocka_unit_test(lists_are_compared), cmocka_unit_test(below_is_not_beside),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
