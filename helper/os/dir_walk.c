// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "os/dir_walk.h"

/** struct dir_walking - one walk */
struct dir_walking {
	int (*fn)(void *ctx, const struct dir_entry *entry);
	void *ctx;
};

static int walk_dir(const struct dir_walking *walking, int dir_fd, unsigned int depth);

static int walk_subdir(const struct dir_walking *walking, int dir_fd, const char *name, unsigned int depth)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	return walk_dir(walking, fd, depth);
}

static int walk_entry(const struct dir_walking *walking, int dir_fd, const char *name, unsigned int depth)
{
	struct dir_entry entry = { .dir_fd = dir_fd, .name = name, .depth = depth };

	if (fstatat(dir_fd, name, &entry.st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -1;
	if (walking->fn(walking->ctx, &entry))
		return -1;
	return S_ISDIR(entry.st.st_mode) ? walk_subdir(walking, dir_fd, name, depth) : 0;
}

/* Takes over @dir_fd. */
static int walk_dir(const struct dir_walking *walking, int dir_fd, unsigned int depth)
{
	DIR *dir = fdopendir(dir_fd);
	struct dirent *entry;
	int ret = 0, saved;

	if (!dir || depth == DIR_WALK_DEPTH) {
		saved = dir ? ELOOP : errno;
		if (dir)
			closedir(dir);
		else
			close(dir_fd);
		errno = saved;
		return -1;
	}
	for (errno = 0; !ret && (entry = readdir(dir)); errno = ret ? errno : 0)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = walk_entry(walking, dirfd(dir), entry->d_name, depth + 1);
	if (!ret && errno)
		ret = -1;
	saved = errno;
	closedir(dir);
	errno = saved;
	return ret;
}

int dir_walk(int root_fd, int (*fn)(void *ctx, const struct dir_entry *entry), void *ctx)
{
	const struct dir_walking walking = { .fn = fn, .ctx = ctx };

	return walk_entry(&walking, root_fd, ".", 0);
}
