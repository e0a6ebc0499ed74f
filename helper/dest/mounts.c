// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/openat2.h>
#include "dest/in_mounts.h"
#include "dest/mounts.h"

#define MOUNTS_MAX	1024
#define NAME_MAX_BYTES	23

static bool is_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");

	return len && len <= NAME_MAX_BYTES && !name[len];
}

static bool is_path(const char *path)
{
	return *path == '/' && strlen(path) < PATH_MAX;
}

static bool are_plain(const Migrate__Setup *setup)
{
	bool plain = setup->n_mounts <= MOUNTS_MAX && (setup->root || !setup->n_mounts) &&
		     (!setup->root || is_path(setup->root));

	for (size_t i = 0; plain && i < setup->n_mounts; i++)
		plain = is_name(setup->mounts[i]->name) && is_path(setup->mounts[i]->path);
	return plain;
}

static bool add(struct mounts *mounts, const char *name, const char *path)
{
	struct mount_bind *bind = &mounts->binds[mounts->nr_binds++];

	bind->name = name ? strdup(name) : NULL;
	bind->path = strdup(path);
	return bind->path && (!name || bind->name);
}

void mounts_take(struct mounts *mounts, const Migrate__Setup *setup, struct refusals *refusals)
{
	bool added;

	memset(mounts, 0, sizeof(*mounts));
	if (!are_plain(setup)) {
		precheck_refuse(refusals, "the list of mounts is wrong: at most %d absolute paths with a name each, and a root, are taken",
				MOUNTS_MAX);
		return;
	}
	if (!setup->root)
		return;
	mounts->binds = calloc(setup->n_mounts + 1, sizeof(*mounts->binds));
	mounts->externals = calloc(setup->n_mounts + 1, sizeof(*mounts->externals));
	added = mounts->binds && mounts->externals && add(mounts, NULL, setup->root);
	for (size_t i = 0; added && i < setup->n_mounts; i++)
		added = add(mounts, setup->mounts[i]->name, setup->mounts[i]->path);
	if (!added)
		precheck_refuse(refusals, "no memory for a list of mounts");
}

const char *mounts_root(const struct mounts *mounts)
{
	return mounts->nr_binds ? mounts->binds[0].at : NULL;
}

static int make_point(const char *at, mode_t mode)
{
	int fd;

	if (S_ISDIR(mode))
		return mkdir(at, 0700);
	fd = open(at, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

/* In the namespace. */
static int bind_opened(int fd, const char *at)
{
	struct stat st;
	int tree, ret;

	if (fstat(fd, &st) || make_point(at, st.st_mode))
		return errno;
	tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return errno;
	ret = move_mount(tree, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) ||
	      mount(NULL, at, NULL, MS_PRIVATE, NULL) ? errno : 0;
	close(tree);
	return ret;
}

static int bind_one(const void *ctx)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
	const struct mount_bind *bind = ctx;
	int fd = syscall(SYS_openat2, AT_FDCWD, bind->path, &how, sizeof(how)), ret;

	if (fd < 0)
		return errno;
	ret = bind_opened(fd, bind->at);
	close(fd);
	return ret;
}

static int bind_all(const void *ctx)
{
	const struct mounts *mounts = ctx;
	int ret = 0;

	for (size_t i = 0; i < mounts->nr_binds && !ret; i++)
		ret = bind_one(&mounts->binds[i]);
	return ret;
}

/* Only the child that failed knows at which one: the first that has not come to its mount point. */
static int bind_failed(const struct mounts *mounts, pid_t init, struct error *err)
{
	for (size_t i = 0; i < mounts->nr_binds && errno != ETIMEDOUT; i++) {
		const struct mount_bind *bind = &mounts->binds[i];

		if (!in_mounts(init, bind_one, bind) || errno == EEXIST)
			continue;
		return errno == ELOOP ?
		       error_set(err, CODE_NOT_READY, "mount what the program has there without a symbolic link in its path",
				 "a part of %.200s is a symbolic link here, and the program may have made that",
				 bind->path) :
		       error_errno(err, CODE_NOT_READY, NULL, "cannot mount %.200s for the program",
				   bind->path);
	}
	return error_errno(err, CODE_NOT_READY, NULL, "cannot mount the directories of this machine that the program has");
}

/* Return: the end of the first directory in @path that is not passable for everybody; 0: all are */
static size_t find_shut(const char *path)
{
	char part[PATH_MAX];
	struct stat st;

	for (size_t end = 1; path[end]; end++) {
		end += strcspn(path + end, "/");
		snprintf(part, sizeof(part), "%.*s", (int)end, path);
		if (lstat(part, &st) || !(st.st_mode & 0001))
			return end;
		if (!path[end])
			break;
	}
	return 0;
}

/* A cover on the first @end bytes of @path, and the directories of @path that are below. */
static int make_way(const char *path, size_t end)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%.*s", (int)end, path);
	if (mount("tmpfs", part, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=711"))
		return -1;
	while (path[end]) {
		end += 1 + strcspn(path + end + 1, "/");
		snprintf(part, sizeof(part), "%.*s", (int)end, path);
		if (mkdir(part, 0711))
			return -1;
	}
	return 0;
}

/* In the namespace, where nobody else is: the cover shows the directory of the migration alone. */
static int open_way(const void *ctx)
{
	const char *path = ctx;
	char above[PATH_MAX];
	int tree, ret;
	size_t end;

	snprintf(above, sizeof(above), "%.*s", (int)(strrchr(path, '/') - path), path);
	end = find_shut(above);
	if (!end)
		return 0;
	tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return errno;
	ret = make_way(path, end) ||
	      move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) ? errno : 0;
	close(tree);
	return ret;
}

int mounts_prepare(struct mounts *mounts, const struct owned_dir *dir, bool by_others, pid_t init,
		   struct error *err)
{
	if (by_others && in_mounts(init, open_way, dir->path))
		return error_errno(err, CODE_INTERNAL, NULL,
				   "cannot let the program's user namespace find %s", dir->path);
	/* those that CRIU itself found at the source: the images have their paths */
	if (mounts->nr_binds && asprintf(&mounts->externals[0], "mnt[]") > 0)
		mounts->nr = 1;
	for (size_t i = 0; i < mounts->nr_binds; i++) {
		struct mount_bind *bind = &mounts->binds[i];

		if (asprintf(&bind->at, "%s/mount-%zu", dir->path, i) < 0 ||
		    (i && asprintf(&mounts->externals[mounts->nr++], "mnt[%s]:%s", bind->name, bind->at) < 0))
			return error_set(err, CODE_INTERNAL, NULL, "no memory for a list of mounts");
	}
	return mounts->nr_binds && in_mounts(init, bind_all, mounts) ?
	       bind_failed(mounts, init, err) : 0;
}

void mounts_free(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->nr_binds; i++) {
		free(mounts->binds[i].name);
		free(mounts->binds[i].path);
		free(mounts->binds[i].at);
	}
	for (size_t i = 0; i < mounts->nr; i++)
		free(mounts->externals[i]);
	free(mounts->binds);
	free(mounts->externals);
	memset(mounts, 0, sizeof(*mounts));
}
