/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mount namespace of a program that has one of its own: CRIU makes it anew. What was a mount of the source's
 * machine is a bind mount of the same path here.
 */
#ifndef MIGRATE_DEST_MOUNTS_H
#define MIGRATE_DEST_MOUNTS_H

#include <limits.h>
#include <sys/types.h>
#include "dest/precheck_list.h"
#include "os/owned_dir.h"
#include "wire/control.h"

/**
 * struct mounts - zeroed: the program has no mount namespace of its own
 * @root: where its root is here; "": it has no namespace of its own
 * @at: the mount point of it that CRIU gets
 * @externals: for CRIU's option external, "mnt[NAME]:PATH"
 */
struct mounts {
	char root[PATH_MAX], at[PATH_MAX];
	char **externals;
	size_t nr;
};

/** mounts_take() - check and keep what Setup says of them */
void mounts_take(struct mounts *mounts, const Migrate__Setup *setup, struct refusals *refusals);
/**
 * mounts_prepare() - CRIU's root: a mount point in the namespace of @init
 * @dir: directory of the migration
 */
int mounts_prepare(struct mounts *mounts, const struct owned_dir *dir, pid_t init,
		   struct error *err);
void mounts_free(struct mounts *mounts);

#endif
