// SPDX-License-Identifier: GPL-2.0
/* The image of a tmpfs becomes files. Needs root. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/io.h"
#include "dest/tmpfs.h"
#include "os/tmpfs.h"
#include "tests/mm_hooks.h"
#include "tests/tmpfs_images.h"

#define OBJECT	1
#define SIZE	5000

static struct world {
	struct objects objects;
	struct tmpfs_bytes image;
	int fd, root;
	char at[40];
} w;

static int set_up(void **state)
{
	struct error err = { 0 };
	struct mm *mm;

	w.fd = tmpfs_make("rw,size=1024k", "rw,relatime");
	assert_true(w.fd >= 0);
	w.root = openat(w.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(w.at, sizeof(w.at), "/proc/self/fd/%d", w.root);
	objects_init(&w.objects, &no_mm_hooks, NULL, NULL);
	w.objects.tmpfs = &w.root;
	w.objects.nr_tmpfs = 1;
	mm = objects_add_tmpfs(&w.objects, OBJECT, 1, &err);
	assert_non_null(mm);
	assert_int_equal(ftruncate(mm->mirror.fd, SIZE), 0);
	assert_int_equal(pwrite(mm->mirror.fd, "object", 6, 0), 6);
	tmpfs_begin(&w.image);
	return 0;
}

static int tear_down(void **state)
{
	objects_destroy(&w.objects);
	close(w.root);
	close(w.fd);
	return 0;
}

static int take(struct error *err)
{
	int in = memfd_create("image", MFD_CLOEXEC), ret;

	memset(err, 0, sizeof(*err));
	assert_int_equal(io_write_all(in, w.image.data, w.image.size), 0);
	assert_int_equal(lseek(in, 0, SEEK_SET), 0);
	ret = tmpfs_take_image(in, w.root, 0, &w.objects, NULL, err);
	close(in);
	return ret;
}

static void assert_taken(void)
{
	struct error err;

	if (take(&err))
		fail_msg("%s", err.what);
}

/* The image is as tmpfs_begin() has made it again. */
static void assert_malformed(void)
{
	struct error err;

	assert_int_equal(take(&err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_non_null(strstr(err.what, "malformed"));
	tmpfs_begin(&w.image);
}

static void put(const char *name, struct tmpfs_record record)
{
	record.depth = record.depth ?: 1;
	tmpfs_put_record(&w.image, record, name);
}

static void put_end(void)
{
	tmpfs_put(&w.image, &(struct tmpfs_run){ 0 }, sizeof(struct tmpfs_run));
}

static struct stat stat_of(const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(w.root, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static void assert_text(const char *name, const char *text)
{
	int fd = openat(w.root, name, O_RDONLY);
	char buf[100] = "";

	assert_true(fd >= 0 && read(fd, buf, sizeof(buf) - 1) >= 0);
	close(fd);
	assert_string_equal(buf, text);
}

static void files_come_with_all_that_they_have(void **state)
{
	static const char xattr[] = "trusted.a\0\3\0\0\0xyz";
	char path[64], value[4] = "";

	put("dir", (struct tmpfs_record){ .mode = S_IFDIR | 0700, .gid = 9 });
	put("file", (struct tmpfs_record){ .mode = S_IFREG | 04711, .uid = 5, .gid = 6, .depth = 2, .size = 8,
					   .xattr_bytes = sizeof(xattr) - 1 });
	tmpfs_put(&w.image, xattr, sizeof(xattr) - 1);
	tmpfs_put_run(&w.image, 2, "text");
	put_end();
	put("link", (struct tmpfs_record){ .mode = S_IFLNK | 0777, .size = 4, .uid = 8 });
	tmpfs_put(&w.image, "/etc", 4);
	put("null", (struct tmpfs_record){ .mode = S_IFCHR | 0640, .rdev = makedev(1, 3) });
	put("fifo", (struct tmpfs_record){ .mode = S_IFIFO | 0600 });
	assert_taken();
	assert_int_equal(stat_of(".").st_mode, S_IFDIR | 0750);
	assert_int_equal(stat_of(".").st_uid, 3);
	assert_int_equal(stat_of(".").st_mtim.tv_sec, 1234567);
	assert_int_equal(stat_of("dir").st_gid, 9);
	assert_int_equal(stat_of("dir").st_mtim.tv_sec, 1234567);
	assert_int_equal(stat_of("dir/file").st_mode, S_IFREG | 04711);
	assert_int_equal(stat_of("dir/file").st_uid, 5);
	assert_int_equal(stat_of("dir/file").st_size, 8);
	assert_int_equal(stat_of("dir/file").st_mtim.tv_nsec, 7);
	assert_int_equal(stat_of("link").st_uid, 8);
	assert_int_equal(stat_of("null").st_rdev, makedev(1, 3));
	assert_int_equal(stat_of("fifo").st_mode, S_IFIFO | 0600);
	snprintf(path, sizeof(path), "%s/dir/file", w.at);
	assert_int_equal(lgetxattr(path, "trusted.a", value, 3), 3);
	assert_string_equal(value, "xyz");
}

static void an_object_and_a_file_have_several_names(void **state)
{
	put("a", (struct tmpfs_record){ .mode = S_IFREG | 0600, .object = OBJECT, .size = SIZE, .names = 2 });
	put("dir", (struct tmpfs_record){ .mode = S_IFDIR | 0700 });
	put("b", (struct tmpfs_record){ .mode = S_IFREG | 0600, .size = 4, .names = 2, .depth = 2 });
	tmpfs_put_run(&w.image, 0, "text");
	put_end();
	put("c", (struct tmpfs_record){ .mode = S_IFREG, .first = 2 });
	put("d", (struct tmpfs_record){ .mode = S_IFREG, .first = 4 });
	assert_taken();
	assert_text("c", "object");
	assert_text("d", "text");
	assert_int_equal(stat_of("a").st_ino, stat_of("c").st_ino);
	assert_int_equal(stat_of("dir/b").st_ino, stat_of("d").st_ino);
	assert_int_equal(stat_of("c").st_size, SIZE);
}

static void names_stay_in_the_tmpfs(void **state)
{
	static const char *const bad[] = { "..", ".", "a/b", "/etc", "" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		put(bad[i], (struct tmpfs_record){ .mode = S_IFDIR | 0700 });
		assert_malformed();
	}
	/* a link is no directory, whatever it leads to */
	put("way", (struct tmpfs_record){ .mode = S_IFLNK, .size = 4 });
	tmpfs_put(&w.image, "/tmp", 4);
	put("out", (struct tmpfs_record){ .mode = S_IFDIR | 0700, .depth = 2 });
	assert_malformed();
}

static void records_that_contradict_themselves_are_refused(void **state)
{
	struct tmpfs_run run = { .offset = 3, .bytes = 2 };

	put("deep", (struct tmpfs_record){ .mode = S_IFDIR, .depth = 2 });
	assert_malformed();
	put("again", (struct tmpfs_record){ .mode = S_IFREG, .first = 1 });
	assert_malformed();
	put("later", (struct tmpfs_record){ .mode = S_IFREG, .first = 7 });
	assert_malformed();
	put("odd", (struct tmpfs_record){ .mode = 0600 });
	assert_malformed();
	put("object", (struct tmpfs_record){ .mode = S_IFREG, .object = 9 });
	assert_malformed();
	put("size", (struct tmpfs_record){ .mode = S_IFREG, .object = OBJECT, .size = SIZE - 1 });
	assert_malformed();
	put("a", (struct tmpfs_record){ .mode = S_IFREG, .size = 4 });
	tmpfs_put(&w.image, &run, sizeof(run));
	tmpfs_put(&w.image, "xx", 2);
	assert_malformed();
	put("huge", (struct tmpfs_record){ .mode = S_IFREG, .size = UINT64_MAX });
	assert_malformed();
	put("l", (struct tmpfs_record){ .mode = S_IFLNK, .size = TMPFS_LINK_MAX + 1 });
	assert_malformed();
	put("x", (struct tmpfs_record){ .mode = S_IFIFO, .xattr_bytes = 6 });
	tmpfs_put(&w.image, "a\0\xff\0\0\0", 6);
	assert_malformed();
	put("y", (struct tmpfs_record){ .mode = S_IFIFO, .xattr_bytes = 3 });
	tmpfs_put(&w.image, "abc", 3);
	assert_malformed();
	put("z", (struct tmpfs_record){ .mode = S_IFIFO, .xattr_bytes = UINT32_MAX });
	assert_malformed();
}

static void an_object_is_named_once(void **state)
{
	put("a", (struct tmpfs_record){ .mode = S_IFREG, .object = OBJECT, .size = SIZE });
	put("b", (struct tmpfs_record){ .mode = S_IFREG, .object = OBJECT, .size = SIZE });
	assert_malformed();
}

static void an_image_that_ends_early_is_refused(void **state)
{
	size_t whole;

	put("dir", (struct tmpfs_record){ .mode = S_IFDIR | 0700 });
	put("file", (struct tmpfs_record){ .mode = S_IFREG, .depth = 2, .size = 4 });
	tmpfs_put_run(&w.image, 0, "text");
	put_end();
	for (whole = w.image.size - 1; whole > sizeof(struct tmpfs_record) + 100; whole -= 7) {
		struct error err;

		w.image.size = whole;
		assert_int_equal(take(&err), -1);
		unlinkat(w.root, "dir/file", 0);
		unlinkat(w.root, "dir", AT_REMOVEDIR);
	}
	w.image.size = 3;
	assert_malformed();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(files_come_with_all_that_they_have),
		TEST(an_object_and_a_file_have_several_names),
		TEST(names_stay_in_the_tmpfs),
		TEST(records_that_contradict_themselves_are_refused),
		TEST(an_object_is_named_once),
		TEST(an_image_that_ends_early_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
