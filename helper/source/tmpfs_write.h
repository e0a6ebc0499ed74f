/* SPDX-License-Identifier: GPL-2.0 */
/* What a tmpfs of the program has besides the pages of large files: session/tmpfs_image.h. */
#ifndef MIGRATE_SOURCE_TMPFS_WRITE_H
#define MIGRATE_SOURCE_TMPFS_WRITE_H

#include "source/mounts.h"
#include "source/shm.h"

/**
 * source_tmpfs_write() - the program stands: the image of each tmpfs of @mounts->tmpfs, into directory @dir_fd
 * @bytes: set to the memory that its files take at the destination, besides objects
 */
int source_tmpfs_write(const struct source_mounts *mounts, const struct source_shms *shms, int dir_fd,
		       uint64_t *bytes, struct error *err);

#endif
