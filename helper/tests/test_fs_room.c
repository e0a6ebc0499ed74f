// SPDX-License-Identifier: GPL-2.0
/* Room that is left to others in a file system. Needs root. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/io.h"
#include "os/fs_room.h"

#define MIB	(1UL << 20)

static char dir[] = "/tmp/test-room.XXXXXX";

/* Of 8 MiB one is for others. */
static void an_eighth_is_left_to_others(void **state)
{
	static char mib[MIB];
	uint64_t free;
	int fd;

	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_true(fs_has_room(fd, 7 * MIB, &free));
	assert_int_equal(free, 8 * MIB);
	assert_false(fs_has_room(fd, 7 * MIB + 1, &free));
	assert_int_equal(io_write_all(fd, mib, MIB), 0);
	assert_true(fs_has_room(fd, 6 * MIB, &free));
	assert_false(fs_has_room(fd, 6 * MIB + 1, &free));
	close(fd);
}

/* A memfd has a file system without a size. */
static void without_a_size_there_is_room(void **state)
{
	int fd = memfd_create("room", MFD_CLOEXEC);
	uint64_t free;

	assert_true(fs_has_room(fd, UINT64_MAX / 2, &free));
	close(fd);
	assert_true(fs_has_room(-1, 1, &free));
}

static int mount_small(void **state)
{
	return !mkdtemp(dir) || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	       mount("none", dir, "tmpfs", 0, "size=8m");
}

static int unmount_small(void **state)
{
	return umount2(dir, MNT_DETACH) || rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_eighth_is_left_to_others), cmocka_unit_test(without_a_size_there_is_room),
	};

	return cmocka_run_group_tests(tests, mount_small, unmount_small);
}
