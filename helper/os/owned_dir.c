// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/owned_dir.h"
#include "os/safe_dir.h"

#define MAX_DEPTH	16

int owned_dir_make(struct owned_dir *dir, const char *base, const char *name, struct error *err)
{
	dir->base_fd = dir->fd = -1;
	if (snprintf(dir->path, sizeof(dir->path), "%s/%s", base, name) >=
	    (int)sizeof(dir->path) || strlen(name) >= sizeof(dir->name))
		return error_set(err, CODE_USAGE, NULL, "the path \"%.200s\" is too long", base);
	strcpy(dir->name, name);
	dir->base_fd = safe_dir_open(base, true, err);
	if (dir->base_fd < 0)
		return -1;
	if (mkdirat(dir->base_fd, name, 0700)) {
		error_errno(err, CODE_NOT_READY, NULL, "cannot make the directory %s", dir->path);
		owned_dir_close(dir);
		return -1;
	}
	dir->fd = openat(dir->base_fd, name, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);
	if (dir->fd >= 0)
		return 0;
	error_errno(err, CODE_INTERNAL, NULL, "cannot open %s", dir->path);
	unlinkat(dir->base_fd, name, AT_REMOVEDIR);
	owned_dir_close(dir);
	return -1;
}

static void empty(int fd, dev_t dev, int depth)
{
	int copy = openat(fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	struct stat st;

	if (!list && copy >= 0)
		close(copy);
	while (list && (entry = readdir(list))) {
		const char *name = entry->d_name;
		int below;

		if (!strcmp(name, ".") || !strcmp(name, "..") ||
		    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) || st.st_dev != dev)
			continue;
		if (!S_ISDIR(st.st_mode)) {
			unlinkat(fd, name, 0);
			continue;
		}
		below = openat(fd, name, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);
		if (below >= 0 && depth < MAX_DEPTH)
			empty(below, dev, depth + 1);
		if (below >= 0)
			close(below);
		unlinkat(fd, name, AT_REMOVEDIR);
	}
	if (list)
		closedir(list);
}

void owned_dir_remove(const struct owned_dir *dir)
{
	struct stat ours, named;

	if (dir->fd < 0 || fstat(dir->fd, &ours))
		return;
	empty(dir->fd, ours.st_dev, 0);
	/* the name may belong to another directory by now */
	if (!fstatat(dir->base_fd, dir->name, &named, AT_SYMLINK_NOFOLLOW) &&
	    named.st_dev == ours.st_dev && named.st_ino == ours.st_ino)
		unlinkat(dir->base_fd, dir->name, AT_REMOVEDIR);
}

void owned_dir_close(struct owned_dir *dir)
{
	if (dir->fd >= 0)
		close(dir->fd);
	if (dir->base_fd >= 0)
		close(dir->base_fd);
	dir->fd = dir->base_fd = -1;
}
