// SPDX-License-Identifier: GPL-2.0
/* Deleted files that CRIU's images carry: found once each, and refused where they are too large. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "criu/criu.h"
#include "source/ghosts.h"

#define MIB	(1UL << 20)

static struct tree tree;
static struct ghosts ghosts;

/* Twice this process, whose descriptors and mappings are those of the program. */
static int set_up(void **state)
{
	struct error err = { 0 };
	int fd = memfd_create("a look", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -1;
	close(fd);
	ghosts = (struct ghosts){ .shm_dev = st.st_dev, .sparse = true };
	for (int i = 0; i < 2; i++)
		if (!tree_add(&tree, getpid(), &err))
			return -1;
	return 0;
}

static int tear_down(void **state)
{
	ghosts_free(&ghosts);
	tree_destroy(&tree);
	return 0;
}

static int make_file(size_t bytes, char path[])
{
	int fd;

	strcpy(path, "/dev/shm/test-ghosts-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, bytes), 0);
	return fd;
}

static void find(void)
{
	struct source_process *process;
	struct error err = { 0 };

	tree_for_each(&tree, process)
		assert_int_equal(source_mm_read_vmas(&process->mm, &err), 0);
	assert_int_equal(ghosts_find(&ghosts, &tree, &err), 0);
}

static void what_is_open(void **state)
{
	char first[32], second[32], named[32];
	int fds[] = { make_file(MIB, first), make_file(3 * MIB, second), make_file(7 * MIB, named) };
	int again = dup(fds[0]), memory = memfd_create("memory", MFD_CLOEXEC);

	assert_int_equal(posix_fallocate(memory, 0, MIB), 0);
	unlink(first);
	unlink(second);
	find();
	assert_int_equal(ghosts.nr, 2);
	assert_int_equal(ghosts.bytes, 4 * MIB);
	assert_int_equal(ghosts.largest, 3 * MIB);
	assert_non_null(strstr(ghosts.name, second));
	unlink(named);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
	close(again);
	close(memory);
}

/* No descriptor leads to it. */
static void what_is_mapped_alone(void **state)
{
	char path[32];
	int fd = make_file(2 * MIB, path);
	void *map = mmap(NULL, 2 * MIB, PROT_READ, MAP_PRIVATE, fd, 0);
	void *memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(map != MAP_FAILED && memory != MAP_FAILED);
	memset(memory, 1, MIB);
	close(fd);
	find();
	assert_int_equal(ghosts.nr, 0);
	unlink(path);
	find();
	assert_int_equal(ghosts.nr, 1);
	assert_int_equal(ghosts.bytes, 2 * MIB);
	munmap(map, 2 * MIB);
	munmap(memory, MIB);
}

static void too_large_ones_are_refused(void **state)
{
	int dir = open("/dev/shm", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	struct error err = { 0 };

	assert_int_equal(ghosts_check(&ghosts, dir, &err), 0);
	ghosts.nr = 1;
	ghosts.pid = 77;
	strcpy(ghosts.name, "/srv/file (deleted)");
	ghosts.bytes = ghosts.largest = CRIU_GHOST_BYTES_MAX + MIB;
	assert_int_equal(ghosts_check(&ghosts, dir, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, "process 77 has a deleted file of 1025 MiB (/srv/file (deleted))"));
	/* each is small enough */
	memset(&err, 0, sizeof(err));
	ghosts.largest = MIB;
	ghosts.bytes = 1UL << 50;
	assert_int_equal(ghosts_check(&ghosts, dir, &err), -1);
	assert_non_null(strstr(err.what, "1073741824 MiB of deleted files"));
	close(dir);
}

/* The user has given CRIU another limit. */
static void the_limit_is_the_users(void **state)
{
	int dir = open("/dev/shm", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	struct criu_config config = { 0 };
	struct error err = { 0 };

	ghosts.nr = 1;
	ghosts.config = &config;
	ghosts.bytes = ghosts.largest = 2 * MIB;
	assert_int_equal(ghosts_check(&ghosts, dir, &err), 0);
	assert_int_equal(criu_config_add(&config, "ghost-limit 1M", CRIU_END_DUMP, &err), 0);
	assert_int_equal(ghosts_check(&ghosts, dir, &err), -1);
	assert_non_null(strstr(err.what, "more than the 1 MiB"));
	assert_non_null(strstr(err.hint, "ghost-limit"));
	memset(&err, 0, sizeof(err));
	assert_int_equal(criu_config_add(&config, "ghost-limit 2G", CRIU_END_DUMP, &err), 0);
	ghosts.bytes = 2 * MIB;
	ghosts.largest = CRIU_GHOST_BYTES_MAX + MIB;
	assert_int_equal(ghosts_check(&ghosts, dir, &err), 0);
	close(dir);
}

/* CRIU 3.17 counts holes, too. Nobody copies them. */
static void a_file_of_holes(void **state)
{
	char path[64];
	int fd = make_file(MIB, path);

	assert_int_equal(ftruncate(fd, 3 * MIB), 0);
	unlink(path);
	find();
	assert_int_equal(ghosts.largest, MIB);
	ghosts_free(&ghosts);
	ghosts.sparse = false;
	find();
	assert_int_equal(ghosts.largest, 3 * MIB);
	assert_int_equal(ghosts.bytes, MIB);
	close(fd);
}

#define GHOST_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GHOST_TEST(what_is_open), GHOST_TEST(what_is_mapped_alone),
		GHOST_TEST(too_large_ones_are_refused), GHOST_TEST(the_limit_is_the_users),
		GHOST_TEST(a_file_of_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
