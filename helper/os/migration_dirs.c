// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/memfs.h"
#include "os/migration_dirs.h"
#include "os/safe_dir.h"

static bool ends_with(const char *name, const char *suffix)
{
	size_t len = strlen(name), end = strlen(suffix);

	return len > end && !strcmp(name + len - end, suffix);
}

static bool is_ours(int base_fd, const char *name)
{
	struct stat st;

	return !fstatat(base_fd, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode) &&
	       st.st_uid == geteuid() && !(st.st_mode & 022);
}

static int each_in(const char *base, const char *suffix, migration_dir_fn fn, void *ctx)
{
	int fd = safe_dir_open(base, false, &(struct error){ 0 });
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char path[PATH_MAX];
	int ret = 0;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && !ret && (entry = readdir(dir))) {
		if (ends_with(entry->d_name, suffix) && is_ours(fd, entry->d_name) &&
		    snprintf(path, sizeof(path), "%s/%s", base, entry->d_name) < (int)sizeof(path))
			ret = fn(ctx, path);
	}
	if (dir)
		closedir(dir);
	return ret;
}

int migration_dirs_each(const char *base, const char *suffix, migration_dir_fn fn, void *ctx)
{
	const char *bases[] = { MEMFS_BASE_RUN, MEMFS_BASE_SHM };
	int ret = 0;

	if (base)
		return each_in(base, suffix, fn, ctx);
	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases) && !ret; i++)
		ret = each_in(bases[i], suffix, fn, ctx);
	return ret;
}
