/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tmpfs in the mount namespace of the program, whose files are copied while the program runs.
 *
 * CRIU packs a tmpfs with tar and gzip while the program stands. So CRIU is told that the mount comes from outside
 * (external mnt[]), and gets one at the destination into which the files have come: large ones as objects, like those of
 * /dev/shm (source/shm.h), and what else there is in an image that is written while the program stands.
 */
#ifndef MIGRATE_SOURCE_TMPFS_H
#define MIGRATE_SOURCE_TMPFS_H

#include <stdint.h>
#include <sys/stat.h>
#include "base/error.h"
#include "source/mounts.h"

/** source_tmpfs_find() - fill @mounts->tmpfs; a tmpfs that cannot be copied so is left to CRIU */
int source_tmpfs_find(struct source_mounts *mounts, const struct criu_config *config, pid_t pid, struct error *err);

/** typedef source_tmpfs_file - a large file of tmpfs @nr, as Setup counts them, that can be opened by @path */
typedef int (*source_tmpfs_file)(void *ctx, uint32_t nr, const struct stat *st, const char *path);
/** source_tmpfs_each() - call @fn for each large file, until it returns -1 with @err set */
int source_tmpfs_each(const struct source_mounts *mounts, source_tmpfs_file fn, void *ctx, struct error *err);

#endif
