// SPDX-License-Identifier: GPL-2.0
/* Mount and network namespaces of a program's own: where its paths are here, and which connections leave it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/mount_list.h"
#include "source/mounts.h"
#include "source/network.h"

static void a_path_is_below_a_directory(void **state)
{
	assert_string_equal(path_below("/a/b", "/a"), "/b");
	assert_string_equal(path_below("/a", "/a"), "");
	assert_string_equal(path_below("/a", "/"), "/a");
	assert_null(path_below("/ab", "/a"));
	assert_null(path_below("/", "/a"));
}

/* A container: its root is a directory of this machine, /usr is bound, /tmp is its own, over one of the machine. */
static struct mount_entry entries[] = {
	{ .target = "/", .id = 10, .parent = 1 }, { .target = "/usr", .id = 11, .parent = 10 },
	{ .target = "/tmp", .id = 12, .parent = 10 }, { .target = "/tmp", .id = 13, .parent = 12 },
};
static char *here[] = { "/srv/root", "/usr", "/tmp", NULL };
static const struct source_mounts container = {
	.own = true, .list = { entries, 4 }, .here = here,
};

static void assert_here(const struct source_mounts *mounts, const char *path, const char *want)
{
	char got[PATH_MAX];

	assert_int_equal(source_mounts_here(mounts, path, got), want != NULL);
	if (want)
		assert_string_equal(got, want);
}

static void paths_of_the_program_are_looked_at_where_they_are_here(void **state)
{
	assert_here(&container, "/", "/srv/root");
	assert_here(&container, "/etc/x", "/srv/root/etc/x");
	assert_here(&container, "/usr/bin/x", "/usr/bin/x");
	assert_here(&container, "/usrx", "/srv/root/usrx");
	assert_here(&container, "/tmp/x", NULL);
	assert_here(NULL, "/tmp/x", "/tmp/x");
	assert_string_equal(source_mounts_root(&container), "/srv/root");
}

/* /srv/data was mounted before /srv, which lies over it; /srv/more is mounted in that. */
static void what_is_hidden_is_not_looked_at(void **state)
{
	static struct mount_entry hidden[] = {
		{ .target = "/", .id = 30, .parent = 1 }, { .target = "/srv/data", .id = 31, .parent = 30 },
		{ .target = "/srv", .id = 32, .parent = 30 }, { .target = "/srv/more", .id = 33, .parent = 32 },
	};
	static char *paths[] = { "/", "/data", "/new", "/more" };
	const struct source_mounts mounts = { .own = true, .list = { hidden, 4 }, .here = paths };

	assert_here(&mounts, "/srv/data/x", "/new/data/x");
	assert_here(&mounts, "/srv/x", "/new/x");
	assert_here(&mounts, "/srv/more/x", "/more/x");
	assert_here(&mounts, "/x", "/x");
}

/* As after "mount -t tmpfs x /": the root of processes is still the first one. */
static void a_mount_over_the_root_is_not_entered(void **state)
{
	static struct mount_entry stacked[] = {
		{ .target = "/", .id = 41, .parent = 40 }, { .target = "/", .id = 40, .parent = 1 },
		{ .target = "/usr", .id = 42, .parent = 41 },
	};
	static char *paths[] = { "/over", "/root", "/usr" };
	const struct source_mounts mounts = { .own = true, .list = { stacked, 3 }, .here = paths };

	assert_int_equal(mount_list_root(&mounts.list), 1);
	assert_here(&mounts, "/x", "/root/x");
	assert_here(&mounts, "/usr/x", "/root/usr/x");
	assert_string_equal(source_mounts_root(&mounts), "/root");
}

#define WRITTEN	(3UL << 20)

/* A child in a mount namespace of its own, with a file in a tmpfs that is there twice. */
static pid_t start_child(const char *options)
{
	char byte, *data = calloc(1, WRITTEN);
	int ready[2], fd;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("one", "/mnt", "tmpfs", 0, options) || mkdir("/mnt/again", 0700) ||
		    mount("/mnt", "/mnt/again", NULL, MS_BIND, NULL))
			_exit(1);
		fd = open("/mnt/file", O_RDWR | O_CREAT, 0600);
		if (write(fd, data, WRITTEN) != WRITTEN || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	free(data);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* Return: 0 when it is done in the mount namespace of @pid */
static int umount_there(pid_t pid)
{
	char path[32];
	pid_t child;
	int status, fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	child = fork();
	if (!child)
		_exit(setns(fd, CLONE_NEWNS) || umount("/mnt/again") ? 1 : 0);
	close(fd);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void files_of_its_own_tmpfs_are_counted(void **state)
{
	struct source_mounts mounts, nobody = { 0 };
	struct criu_config config = { 0 };
	pid_t pid = start_child(NULL);
	struct error err = { 0 };

	assert_int_equal(source_mounts_find(&mounts, pid, &config, &err), 0);
	assert_int_equal(source_mounts_tmpfs_bytes(&mounts, &config, pid), WRITTEN);
	assert_int_equal(source_mounts_tmpfs_bytes(&nobody, &config, pid), 0);
	assert_int_equal(source_mounts_check(&mounts, pid, &err), 0);
	/* what the program mounts, or unmounts, from now on is not in Setup */
	assert_int_equal(umount_there(pid), 0);
	assert_int_equal(source_mounts_check(&mounts, pid, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	source_mounts_free(&mounts);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void files_of_a_tmpfs_without_a_limit_are_counted(void **state)
{
	struct criu_config config = { 0 };
	struct source_mounts mounts;
	pid_t pid = start_child("size=0");
	struct error err = { 0 };
	uint64_t bytes;

	assert_int_equal(source_mounts_find(&mounts, pid, &config, &err), 0);
	bytes = source_mounts_tmpfs_bytes(&mounts, &config, pid);
	/* a directory may take a page */
	assert_true(bytes >= WRITTEN && bytes < WRITTEN + 16384);
	source_mounts_free(&mounts);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* CRIU takes a mount point for one mount. */
static void a_mount_under_one_of_its_own_has_no_name(void **state)
{
	char *name = source_mounts_name(&container, 1);

	assert_string_equal(name, "mnt[/usr]:mh1");
	free(name);
	assert_true(source_mounts_is_outside(&container, 1));
	assert_false(source_mounts_is_outside(&container, 0));
	assert_false(source_mounts_is_outside(&container, 2));
	assert_false(source_mounts_is_outside(&container, 3));
	assert_true(source_mounts_are_stacked(&container));
}

static bool leads_out(const char *const *lines, size_t nr)
{
	struct net_ends ends = { 0 };
	bool out;

	for (size_t i = 0; i < nr; i++)
		assert_int_equal(net_ends_take(&ends, lines[i]), 0);
	out = net_ends_find_outside(&ends);
	free(ends.items);
	return out;
}

static void a_connection_has_both_ends_inside_or_leads_out(void **state)
{
	static const char *const lines[] = {
		"  sl  local_address rem_address   st tx_queue rx_queue",
		"   0: 00000000:1388 00000000:0000 0A 00000000:00000000",
		"   1: 0100007F:1388 0100007F:C35E 01 00000000:00000000",
		"   2: 0000000000000000FFFF00000100007F:C35E 0000000000000000FFFF00000100007F:1388 08 0:0",
		"   3: 0100007F:1389 0100007F:C35F 06 00000000:00000000",
		"   4: 0200090A:1388 0100090A:C35E 01 00000000:00000000",
	};

	assert_false(leads_out(lines, 5));
	assert_true(leads_out(lines, 3));
	assert_true(leads_out(lines, 6));
	assert_false(leads_out(lines, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_below_a_directory),
		cmocka_unit_test(paths_of_the_program_are_looked_at_where_they_are_here),
		cmocka_unit_test(what_is_hidden_is_not_looked_at),
		cmocka_unit_test(a_mount_over_the_root_is_not_entered),
		cmocka_unit_test(files_of_its_own_tmpfs_are_counted),
		cmocka_unit_test(files_of_a_tmpfs_without_a_limit_are_counted),
		cmocka_unit_test(a_mount_under_one_of_its_own_has_no_name),
		cmocka_unit_test(a_connection_has_both_ends_inside_or_leads_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
