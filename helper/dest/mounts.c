// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
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

void mounts_take(struct mounts *mounts, const Migrate__Setup *setup, struct refusals *refusals)
{
	memset(mounts, 0, sizeof(*mounts));
	if (!are_plain(setup)) {
		precheck_refuse(refusals, "the list of mounts is wrong: at most %d absolute paths with a name each, and a root, are taken",
				MOUNTS_MAX);
		return;
	}
	if (!setup->root)
		return;
	snprintf(mounts->root, sizeof(mounts->root), "%s", setup->root);
	mounts->externals = calloc(setup->n_mounts + 1, sizeof(*mounts->externals));
	/* those that CRIU itself found at the source: the images have their paths */
	if (mounts->externals && asprintf(&mounts->externals[0], "mnt[]") > 0)
		mounts->nr = 1;
	for (size_t i = 0; mounts->nr && i < setup->n_mounts; i++)
		mounts->nr += asprintf(&mounts->externals[mounts->nr], "mnt[%s]:%s",
				       setup->mounts[i]->name, setup->mounts[i]->path) > 0;
	if (mounts->nr != setup->n_mounts + 1)
		precheck_refuse(refusals, "no memory for a list of mounts");
}

/* CRIU makes a mount of it the root of the new namespace, and wants a mount point. */
static int bind_root(const void *ctx)
{
	const struct mounts *mounts = ctx;

	return mount(mounts->root, mounts->at, NULL, MS_BIND, NULL) ||
	       mount(NULL, mounts->at, NULL, MS_PRIVATE, NULL) ? errno : 0;
}

int mounts_prepare(struct mounts *mounts, const struct owned_dir *dir, pid_t init,
		   struct error *err)
{
	if (!*mounts->root)
		return 0;
	snprintf(mounts->at, sizeof(mounts->at), "%s/root", dir->path);
	if (mkdirat(dir->fd, "root", 0700) || in_mounts(init, bind_root, mounts))
		return error_errno(err, CODE_NOT_READY, NULL,
				   "cannot mount %.150s as the root of the program at %.100s",
				   mounts->root, mounts->at);
	return 0;
}

void mounts_free(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->nr; i++)
		free(mounts->externals[i]);
	free(mounts->externals);
	memset(mounts, 0, sizeof(*mounts));
}
