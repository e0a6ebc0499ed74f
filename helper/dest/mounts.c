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
#include "os/tmpfs.h"

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
	plain = plain && setup->n_tmpfs <= MOUNTS_MAX && (setup->root || !setup->n_tmpfs);
	for (size_t i = 0; plain && i < setup->n_tmpfs; i++)
		plain = is_name(setup->tmpfs[i]->name) &&
			tmpfs_can_be_made(setup->tmpfs[i]->options, setup->tmpfs[i]->flags);
	return plain;
}

static bool add(struct mounts *mounts, const char *name, const char *path, bool follows)
{
	struct mount_bind *bind = &mounts->binds[mounts->nr_binds++];

	bind->follows = follows;
	bind->tmpfs = -1;
	bind->name = name ? strdup(name) : NULL;
	bind->path = strdup(path);
	return bind->path && (!name || bind->name);
}

static bool add_tmpfs(struct mounts *mounts, const Migrate__Tmpfs *said, struct refusals *refusals)
{
	size_t nr = mounts->nr_tmpfs;
	bool added = add(mounts, said->name, "a tmpfs", false);

	mounts->binds[mounts->nr_binds - 1].tmpfs = nr;
	mounts->options[nr] = strdup(said->options);
	mounts->tmpfs[nr] = tmpfs_make(said->options, said->flags);
	if (mounts->tmpfs[nr] < 0)
		precheck_refuse(refusals, "cannot make a tmpfs with the options %.200s (%m)", said->options);
	else
		mounts->nr_tmpfs++;
	return added && mounts->options[nr];
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
	mounts->binds = calloc(setup->n_mounts + setup->n_tmpfs + 1, sizeof(*mounts->binds));
	mounts->externals = calloc(setup->n_mounts + setup->n_tmpfs + 1, sizeof(*mounts->externals));
	mounts->tmpfs = calloc(setup->n_tmpfs + 1, sizeof(*mounts->tmpfs));
	mounts->options = calloc(setup->n_tmpfs + 1, sizeof(*mounts->options));
	added = mounts->binds && mounts->externals && mounts->tmpfs && mounts->options && add(mounts, NULL, setup->root, setup->root_follows);
	for (size_t i = 0; added && i < setup->n_mounts; i++)
		added = add(mounts, setup->mounts[i]->name, setup->mounts[i]->path,
			    setup->mounts[i]->follows);
	for (size_t i = 0; added && !refusals->nr && i < setup->n_tmpfs; i++)
		added = add_tmpfs(mounts, setup->tmpfs[i], refusals);
	if (!added)
		precheck_refuse(refusals, "no memory for a list of mounts");
}

bool mounts_are_own(const struct mounts *mounts)
{
	return mounts->nr_binds;
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

/** struct binding - @trees: copies of the mounts of this machine that @binds follow, as descriptors; in the child */
struct binding {
	const struct mounts *mounts;
	const struct mount_bind *binds;
	size_t nr;
	int *trees;
};

/* Return: a copy of the mount that leads to @path, or -1 with errno */
static int copy_mount(const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
	int fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)), tree, saved;

	if (fd < 0)
		return -1;
	tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	saved = errno;
	close(fd);
	errno = saved;
	return tree;
}

/* In this machine's own namespace: the mounts of the other one follow nothing. */
static int copy_followed(const void *ctx)
{
	const struct binding *binding = ctx;

	for (size_t i = 0; i < binding->nr; i++) {
		binding->trees[i] = binding->binds[i].tmpfs < 0 ? -1 :
				    dup(binding->mounts->tmpfs[binding->binds[i].tmpfs]);
		if (!binding->binds[i].follows)
			continue;
		binding->trees[i] = copy_mount(binding->binds[i].path);
		if (binding->trees[i] < 0)
			return errno;
	}
	return 0;
}

/*
 * A copy follows what this machine's mount follows or shares. CRIU lets the program's mount follow a group alone, so
 * the copy gets one, which goes on what comes to it.
 */
static int set_group(const char *at, bool follows)
{
	if (!follows)
		return mount(NULL, at, NULL, MS_PRIVATE, NULL);
	return mount(NULL, at, NULL, MS_SLAVE, NULL) || mount(NULL, at, NULL, MS_SHARED, NULL) ? -1 : 0;
}

static int bind_tree(const struct mount_bind *bind, int tree)
{
	struct stat st;

	return fstat(tree, &st) || make_point(bind->at, st.st_mode) ||
	       move_mount(tree, "", AT_FDCWD, bind->at, MOVE_MOUNT_F_EMPTY_PATH) ||
	       set_group(bind->at, bind->follows) ? errno : 0;
}

/* In the namespace. */
static int bind_all(const void *ctx)
{
	const struct binding *binding = ctx;
	int ret = 0;

	for (size_t i = 0; i < binding->nr && !ret; i++) {
		const struct mount_bind *bind = &binding->binds[i];
		int tree = bind->follows || bind->tmpfs >= 0 ? binding->trees[i] : copy_mount(bind->path);

		ret = tree < 0 ? errno : bind_tree(bind, tree);
		if (tree >= 0)
			close(tree);
	}
	return ret;
}

static int bind_in(pid_t init, const struct binding *binding)
{
	const struct mounts *mounts = binding->mounts;

	return in_mounts_from(init, copy_followed, bind_all, binding, mounts->tmpfs, mounts->nr_tmpfs);
}

/* Only the child that failed knows at which one: the first that has not come to its mount point. */
static int bind_failed(const struct binding *all, pid_t init, struct error *err)
{
	for (size_t i = 0; i < all->nr && errno != ETIMEDOUT; i++) {
		const struct mount_bind *bind = &all->binds[i];
		const struct binding one = { .mounts = all->mounts, .binds = bind, .nr = 1, .trees = all->trees };

		if (!bind_in(init, &one) || errno == EEXIST)
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

static int bind_mounts(const struct mounts *mounts, pid_t init, struct error *err)
{
	struct binding all = {
		.mounts = mounts, .binds = mounts->binds, .nr = mounts->nr_binds, .trees = calloc(mounts->nr_binds + 1, sizeof(int)),
	};
	int ret;

	if (!all.trees)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of mounts");
	ret = all.nr && bind_in(init, &all) ? bind_failed(&all, init, err) : 0;
	free(all.trees);
	return ret;
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
	return bind_mounts(mounts, init, err);
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
	for (size_t i = 0; i < mounts->nr_tmpfs; i++) {
		close(mounts->tmpfs[i]);
		free(mounts->options[i]);
	}
	free(mounts->tmpfs);
	free(mounts->options);
	free(mounts->binds);
	free(mounts->externals);
	memset(mounts, 0, sizeof(*mounts));
}
