// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/report.h"
#include "os/memfs.h"
#include "os/migration_dirs.h"
#include "os/safe_dir.h"
#include "source/workdir.h"

int workdir_plan(struct workdir *dir, const char *base, const char *id, struct error *err)
{
	*dir = (struct workdir){ .images_fd = -1, .work_fd = -1, .parent_fd = -1 };
	if (!base)
		base = memfs_base();
	if (!memfs_holds(base))
		report_say("%s is not on tmpfs: the program will stand longer", base);
	if (snprintf(dir->path, sizeof(dir->path), "%s/%s" MIGRATION_DIR_SOURCE, base, id) >= (int)sizeof(dir->path))
		return error_set(err, CODE_USAGE, NULL, "path \"%s\" is too long", base);
	return 0;
}

static int make_one(int dir_fd, const char *name)
{
	if (mkdirat(dir_fd, name, 0700))
		return -1;
	return openat(dir_fd, name, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);
}

int workdir_make(struct workdir *dir, struct error *err)
{
	char *slash = strrchr(dir->path, '/');
	int base_fd, fd;

	*slash = 0;
	base_fd = safe_dir_open(dir->path, true, err);
	*slash = '/';
	if (base_fd < 0)
		return -1;
	fd = make_one(base_fd, slash + 1);
	if (fd >= 0) {
		dir->images_fd = make_one(fd, "images");
		dir->work_fd = make_one(fd, "work");
		dir->parent_fd = make_one(fd, "parent");
	}
	if (dir->images_fd < 0 || dir->work_fd < 0 || dir->parent_fd < 0)
		error_errno(err, CODE_NOT_READY, "choose another place with --images-dir",
			    "cannot make %s", dir->path);
	if (fd >= 0)
		close(fd);
	close(base_fd);
	return error_is_set(err) ? -1 : 0;
}

void workdir_close(struct workdir *dir)
{
	int *fds[] = { &dir->images_fd, &dir->work_fd, &dir->parent_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}
