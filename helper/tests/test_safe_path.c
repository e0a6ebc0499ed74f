// SPDX-License-Identifier: GPL-2.0
/* The symbolic links that another user could have made. Needs root. */
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
#include "os/safe_path.h"

#define OTHER	4711

static char top[64];

static const char *in_top(const char *name)
{
	static char paths[4][128];
	static unsigned int nr;
	char *path = paths[nr++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", top, name);
	return path;
}

static void make_link(const char *target, const char *name, uid_t owner)
{
	assert_int_equal(symlink(target, in_top(name)), 0);
	assert_int_equal(lchown(in_top(name), owner, owner), 0);
}

static void make_file(const char *name)
{
	int fd = open(in_top(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
}

/* system/ belongs to root, home/ to a user, shared/ to all as /tmp does */
static int make_top(void **state)
{
	strcpy(top, "/tmp/test-path-XXXXXX");
	if (!mkdtemp(top) || chmod(top, 0755) || mkdir(in_top("system"), 0755) ||
	    mkdir(in_top("home"), 0755) || mkdir(in_top("home/roots"), 0755) ||
	    mkdir(in_top("shared"), 0755) || chmod(in_top("shared"), 01777) ||
	    chown(in_top("home"), OTHER, OTHER))
		return -1;
	make_file("system/file");
	make_file("home/file");
	return 0;
}

static int remove_top(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", top);
	return system(command);
}

/* Return: 0 when @path leads to the file of @to, or errno */
static int leads(const char *root, const char *path, const char *to)
{
	int fd = safe_path_open(root, path), error = errno;
	struct stat st, wanted;

	if (fd < 0)
		return error;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat(to, &wanted), 0);
	assert_int_equal(st.st_ino, wanted.st_ino);
	assert_int_equal(st.st_dev, wanted.st_dev);
	close(fd);
	return 0;
}

static int in_top_leads(const char *name, const char *to)
{
	return leads("/", in_top(name), in_top(to));
}

static void without_links(void **state)
{
	assert_int_equal(in_top_leads("home/file", "home/file"), 0);
	assert_int_equal(in_top_leads("home/none", "home/file"), ENOENT);
	assert_int_equal(leads("/", "/", "/"), 0);
}

static void links_of_root(void **state)
{
	make_link("file", "system/relative", 0);
	make_link(in_top("home"), "system/absolute", 0);
	make_link("../home/file", "system/up", 0);
	make_link("relative", "system/twice", 0);
	make_link("loop", "system/loop", 0);
	make_link("system", "sys", 0);
	make_link("../system/file", "shared/of-root", 0);
	assert_int_equal(in_top_leads("system/relative", "system/file"), 0);
	assert_int_equal(in_top_leads("system/absolute/file", "home/file"), 0);
	assert_int_equal(in_top_leads("system/up", "home/file"), 0);
	assert_int_equal(in_top_leads("sys/twice", "system/file"), 0);
	assert_int_equal(in_top_leads("shared/of-root", "system/file"), 0);
	assert_int_equal(in_top_leads("system/loop", "system/file"), ELOOP);
	assert_int_equal(in_top_leads("sys/none", "system/file"), ENOENT);
}

static void links_of_users(void **state)
{
	make_link(in_top("system/file"), "home/link", OTHER);
	make_link("../system/file", "shared/link", OTHER);
	make_link(in_top("system"), "home/dir", OTHER);
	/* a user can rename what is in his directory, and give root's link another place */
	make_link(in_top("system/file"), "home/of-root", 0);
	make_link(in_top("system/file"), "home/roots/link", 0);
	make_link(in_top("home"), "system/home", 0);
	assert_int_equal(in_top_leads("home/link", "system/file"), ELOOP);
	assert_int_equal(in_top_leads("shared/link", "system/file"), ELOOP);
	assert_int_equal(in_top_leads("home/dir/file", "system/file"), ELOOP);
	assert_int_equal(in_top_leads("home/of-root", "system/file"), ELOOP);
	assert_int_equal(in_top_leads("home/roots/link", "system/file"), ELOOP);
	assert_int_equal(in_top_leads("system/home/link", "system/file"), ELOOP);
}

static void links_in_another_root(void **state)
{
	make_link("/file", "system/in-root", 0);
	make_link("../../../file", "system/above", 0);
	assert_int_equal(leads(in_top("system"), in_top("system/in-root"), in_top("system/file")), 0);
	assert_int_equal(leads(in_top("system"), in_top("system/above"), in_top("system/file")), 0);
	/* a user can replace this root */
	make_link("file", "home/roots/link", 0);
	assert_int_equal(leads(in_top("home/roots"), in_top("home/roots/link"), "/"), ELOOP);
	/* a mount elsewhere: it is not known what is above */
	assert_int_equal(leads(in_top("home"), in_top("system/in-root"), "/"), ELOOP);
	assert_int_equal(leads(in_top("home"), in_top("system/file"), in_top("system/file")), 0);
}

static void links_of_procfs(void **state)
{
	assert_int_equal(leads("/", "/proc/self/exe", "/"), ELOOP);
	assert_int_equal(leads("/", "/proc/1/root/etc", "/"), ELOOP);
}

#define TOP_TEST(test) cmocka_unit_test_setup_teardown(test, make_top, remove_top)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOP_TEST(without_links), TOP_TEST(links_of_root), TOP_TEST(links_of_users),
		TOP_TEST(links_in_another_root), TOP_TEST(links_of_procfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
