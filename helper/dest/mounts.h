/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mount namespace of a program that has one of its own: CRIU makes it anew. What was a mount of the source's
 * machine is a bind mount of the same path here.
 */
#ifndef MIGRATE_DEST_MOUNTS_H
#define MIGRATE_DEST_MOUNTS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>
#include "dest/precheck_list.h"
#include "os/owned_dir.h"
#include "wire/control.h"

/**
 * struct mount_bind - a directory, or file, of this machine that the program has mounted; or a tmpfs that was made for it
 * @name: that the images have for it; NULL: it is the root
 * @path: what the source says; of a tmpfs: what messages say
 * @tmpfs: its place in @tmpfs of struct mounts; -1: a mount of this machine
 * @at: the mount point that CRIU gets in its place, in the directory of the migration
 * @follows: what comes on this machine's mount later comes on the program's
 */
struct mount_bind {
	char *name, *path, *at;
	bool follows;
	int tmpfs;
};

/**
 * struct mounts - zeroed: the program has no mount namespace of its own
 * @binds: the first one is the root
 * @tmpfs: their roots, on mounts that are nowhere until mounts_prepare(); @options: theirs, as the source says
 * @externals: for CRIU's option external, "mnt[NAME]:PATH"; of mounts_prepare()
 *
 * CRIU follows symbolic links in a path. The program may have made them: of a directory in which it can write,
 * as the root of a container. So each path is opened here, without links, and CRIU gets a mount of what was opened.
 */
struct mounts {
	struct mount_bind *binds;
	char **externals;
	size_t nr_binds, nr;
	int *tmpfs;
	char **options;
	size_t nr_tmpfs;
};

/** mounts_take() - check and keep what Setup says of them */
void mounts_take(struct mounts *mounts, const Migrate__Setup *setup, struct refusals *refusals);
/** mounts_are_own() - the program has a mount namespace of its own: known from mounts_take() on */
bool mounts_are_own(const struct mounts *mounts);
/** mounts_root() - the mount point of the program's root, from mounts_prepare() on; NULL: it has no mount namespace of its own */
const char *mounts_root(const struct mounts *mounts);
/**
 * mounts_prepare() - make the mount points in the namespace of @init
 * @dir: directory of the migration
 * @by_others: the root of a user namespace mounts them, and @dir is lent to it: each directory above @dir is passable
 *	for everybody in the namespace of @init, and shows nothing but @dir
 */
int mounts_prepare(struct mounts *mounts, const struct owned_dir *dir, bool by_others, pid_t init,
		   struct error *err);
void mounts_free(struct mounts *mounts);

#endif
