// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include "os/memfs.h"


bool memfs_holds(const char *path)
{
	char parent[PATH_MAX];
	struct statfs fs;
	char *slash;

	if (!statfs(path, &fs))
		return fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (errno != ENOENT || !slash || slash == parent)
		return false;
	*slash = 0;
	return memfs_holds(parent);
}

const char *memfs_base(void)
{
	return memfs_holds(MEMFS_BASE_RUN) || !memfs_holds(MEMFS_BASE_SHM) ? MEMFS_BASE_RUN : MEMFS_BASE_SHM;
}
