// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "os/dir_bytes.h"

#define DEPTH_MAX	64

/* Follows no symbolic link and no mount, not even a bind mount of the same file system. */
static int open_below(int fd, const char *name)
{
	struct open_how how = {
		.flags = O_DIRECTORY | O_RDONLY | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};

	return syscall(SYS_openat2, fd, name, &how, sizeof(how));
}

static uint64_t bytes_below(int fd, dev_t dev, int depth)
{
	int copy = openat(fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC), below;
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	uint64_t bytes = 0;
	struct stat st;

	if (!list && copy >= 0)
		close(copy);
	while (list && (entry = readdir(list))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || st.st_dev != dev)
			continue;
		bytes += st.st_blocks * 512UL;
		if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX)
			continue;
		below = open_below(fd, entry->d_name);
		if (below >= 0) {
			bytes += bytes_below(below, dev, depth + 1);
			close(below);
		}
	}
	if (list)
		closedir(list);
	return bytes;
}

uint64_t dir_bytes(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : bytes_below(fd, st.st_dev, 0);
}
