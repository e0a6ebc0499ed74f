/* SPDX-License-Identifier: GPL-2.0 */
/* A directory of its own for a test, and the files in it. */
#ifndef MIGRATE_TESTS_TEST_DIR_H
#define MIGRATE_TESTS_TEST_DIR_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/io.h"

struct test_dir {
	char path[32];
	int fd;
};

static inline void dir_make(struct test_dir *dir)
{
	strcpy(dir->path, "/tmp/criu-test-XXXXXX");
	assert_non_null(mkdtemp(dir->path));
	dir->fd = open(dir->path, O_DIRECTORY | O_CLOEXEC);
	assert_true(dir->fd >= 0);
}

static inline void dir_empty(int fd)
{
	DIR *stream = fdopendir(dup(fd));
	struct dirent *entry;

	rewinddir(stream);
	while ((entry = readdir(stream))) {
		if (entry->d_name[0] == '.')
			continue;
		if (unlinkat(fd, entry->d_name, 0)) {
			int sub = openat(fd, entry->d_name, O_DIRECTORY);

			dir_empty(sub);
			close(sub);
			unlinkat(fd, entry->d_name, AT_REMOVEDIR);
		}
	}
	closedir(stream);
}

static inline void dir_remove(struct test_dir *dir)
{
	dir_empty(dir->fd);
	close(dir->fd);
	rmdir(dir->path);
}

/* The path of a name in it; until the next call */
static inline const char *dir_path(const struct test_dir *dir, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	return path;
}

static inline size_t file_read(int dir_fd, const char *name, void *data, size_t room)
{
	int fd = openat(dir_fd, name, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, data, room);
	assert_true(n >= 0);
	close(fd);
	return n;
}

static inline void file_write(int dir_fd, const char *name, const void *data, size_t bytes)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, data, bytes), 0);
	close(fd);
}

#endif
