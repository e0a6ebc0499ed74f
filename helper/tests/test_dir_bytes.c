// SPDX-License-Identifier: GPL-2.0
/* How much the files below a directory hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>
#include "os/dir_bytes.h"
#include "os/memfs.h"
#include "tests/test_dir.h"

#define BYTES	(1 << 20)

static void files_count_and_links_do_not(void **state)
{
	static const uint8_t data[BYTES] = { 1 };
	struct test_dir dir, other;
	uint64_t empty;
	char big[64];
	int sub;

	dir_make(&dir);
	dir_make(&other);
	empty = dir_bytes(dir.fd);
	file_write(other.fd, "big", data, BYTES);
	snprintf(big, sizeof(big), "%s/big", other.path);
	assert_int_equal(symlinkat(big, dir.fd, "link"), 0);
	assert_int_equal(symlinkat(other.path, dir.fd, "dir"), 0);
	assert_true(dir_bytes(dir.fd) < empty + BYTES);
	assert_int_equal(mkdirat(dir.fd, "sub", 0700), 0);
	sub = openat(dir.fd, "sub", O_DIRECTORY | O_CLOEXEC);
	file_write(sub, "one", data, BYTES);
	file_write(dir.fd, "two", data, BYTES);
	/* on disk, or on tmpfs, as whole blocks; a little more for the directory */
	fsync(sub);
	assert_in_range(dir_bytes(dir.fd), empty + 2 * BYTES, empty + 2 * BYTES + 65536);
	close(sub);
	dir_remove(&dir);
	dir_remove(&other);
}

static void a_path_that_is_yet_to_be_made_is_where_its_parent_is(void **state)
{
	assert_false(memfs_holds("/proc/self"));
	assert_false(memfs_holds("/proc/no-such-file/and/more"));
	assert_false(memfs_holds("relative-and-missing"));
	if (memfs_holds("/dev/shm"))
		assert_true(memfs_holds(MEMFS_BASE_SHM "-missing/images"));
	assert_true(!strcmp(memfs_base(), MEMFS_BASE_RUN) || !strcmp(memfs_base(), MEMFS_BASE_SHM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_count_and_links_do_not),
		cmocka_unit_test(a_path_that_is_yet_to_be_made_is_where_its_parent_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
