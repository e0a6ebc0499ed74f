// SPDX-License-Identifier: GPL-2.0
/* Which tmpfs are copied while the program runs, and the files that are found there. Needs root. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/tmpfs.h"
#include "source/tmpfs.h"

#define LARGE	(1UL << 20)

static void must(int failed)
{
	if (failed)
		_exit(1);
}

static void make_file(const char *path, off_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	must(fd < 0 || ftruncate(fd, bytes));
	close(fd);
}

static void mount_all(void)
{
	must(unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(mount("one", "/mnt", "tmpfs", 0, "size=4m") || mkdir("/mnt/covered", 0700) || mkdir("/mnt/again", 0700));
	make_file("/mnt/covered/large", LARGE);
	make_file("/mnt/small", 10);
	must(mount("over", "/mnt/covered", "tmpfs", MS_NOSUID | MS_NOEXEC, NULL));
	must(mount("/mnt", "/mnt/again", NULL, MS_BIND, NULL));
	must(mount("shared", "/media", "tmpfs", 0, NULL) || mount(NULL, "/media", NULL, MS_SHARED, NULL));
	must(mount("only", "/srv", "tmpfs", MS_RDONLY, NULL));
	must(mount("given", "/opt", "tmpfs", 0, NULL));
	must(mount("below", "/home", "tmpfs", 0, NULL) || mount("above", "/home", "tmpfs", 0, NULL));
}

static pid_t start_program(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		mount_all();
		must(write(ready[1], "", 1) != 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* Return: how many of the mounts on @target are copied */
static int copied(const struct source_mounts *mounts, const char *target)
{
	int nr = 0;

	for (size_t i = 0; i < mounts->list.nr; i++)
		nr += !strcmp(mounts->list.mounts[i].target, target) && source_mounts_is_copied(mounts, i);
	return nr;
}

static int note_file(void *ctx, uint32_t nr, const struct stat *st, const char *path)
{
	struct stat other;

	assert_int_equal(stat(path, &other), 0);
	assert_int_equal(other.st_ino, st->st_ino);
	assert_int_equal(st->st_size, LARGE);
	assert_int_equal(nr, 0);
	++*(int *)ctx;
	return 0;
}

static void some_are_copied_and_others_left_to_criu(void **state)
{
	struct criu_config config = { 0 };
	struct source_mounts mounts;
	struct error err = { 0 };
	pid_t pid = start_program();
	int files = 0;

	snprintf(config.options[0].text, sizeof(config.options[0].text), "external mnt[/opt]:data");
	config.nr = 1;
	if (source_mounts_find(&mounts, pid, &config, &err) || source_tmpfs_find(&mounts, &config, pid, &err))
		fail_msg("%s", err.what);
	assert_int_equal(copied(&mounts, "/mnt"), 1);
	assert_int_equal(copied(&mounts, "/mnt/covered"), 1);
	assert_int_equal(copied(&mounts, "/mnt/again"), 0);
	assert_int_equal(copied(&mounts, "/media"), 0);
	assert_int_equal(copied(&mounts, "/srv"), 0);
	assert_int_equal(copied(&mounts, "/opt"), 0);
	assert_int_equal(copied(&mounts, "/home"), 0);
	assert_int_equal(source_tmpfs_each(&mounts, note_file, &files, &err), 0);
	assert_int_equal(files, 1);
	source_mounts_free(&mounts);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void its_options_are_known(void **state)
{
	assert_true(tmpfs_can_be_made("rw,size=4096k,nr_inodes=100,mode=755,uid=1,inode64", "rw,nosuid,relatime"));
	assert_true(tmpfs_can_be_made("rw,seclabel", "rw,noatime,nodev,noexec"));
	assert_false(tmpfs_can_be_made("ro", "rw"));
	assert_false(tmpfs_can_be_made("rw", "ro"));
	assert_false(tmpfs_can_be_made("rw,mpol=bind:0", "rw"));
	assert_false(tmpfs_can_be_made("rw,usrquota", "rw"));
	assert_false(tmpfs_can_be_made("rw", "rw,idmapped"));
}

/* It may be as full as the program's, and both may lack room for what comes meanwhile. */
static void its_limits_come_last(void **state)
{
	int fd = tmpfs_make("rw,size=64k,nr_inodes=20", "rw,noexec"), file;
	struct statfs fs;

	assert_true(fd >= 0);
	file = openat(fd, ".", O_TMPFILE | O_RDWR, 0600);
	assert_true(file >= 0);
	assert_int_equal(fallocate(file, 0, 0, LARGE), 0);
	assert_int_equal(tmpfs_limit(fd, "rw,size=64k,nr_inodes=20"), -1);
	assert_int_equal(ftruncate(file, 65536), 0);
	assert_int_equal(tmpfs_limit(fd, "rw,size=64k,nr_inodes=20"), 0);
	assert_int_equal(fstatfs(file, &fs), 0);
	assert_int_equal(fs.f_blocks * fs.f_bsize, 65536);
	assert_int_equal(fs.f_files, 20);
	assert_true(fs.f_flags & ST_NOEXEC);
	close(file);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_are_copied_and_others_left_to_criu),
		cmocka_unit_test(its_options_are_known),
		cmocka_unit_test(its_limits_come_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
