/* SPDX-License-Identifier: GPL-2.0 */
/* Work in the mount namespace in which CRIU is about to restore the program. */
#ifndef MIGRATE_DEST_IN_MOUNTS_H
#define MIGRATE_DEST_IN_MOUNTS_H

#include <sys/types.h>
#include "base/error.h"

/**
 * in_mounts() - call @fn in the mount namespace of @init, in a child process
 * @fn: returns 0, or an errno. Of this process's descriptors it has none
 *
 * A path on a file system without server may block the child for ever: it is not waited for longer than ten seconds.
 * Return: 0, or -1 with errno; ETIMEDOUT
 */
int in_mounts(pid_t init, int (*fn)(const void *ctx), const void *ctx);
/**
 * in_mounts_from() - the same; @before, in the child too, is called in the mount namespace of the caller first
 * @fds: of this process's descriptors, @nr_fds that the child has
 */
int in_mounts_from(pid_t init, int (*before)(const void *ctx), int (*fn)(const void *ctx), const void *ctx,
		   const int *fds, size_t nr_fds);

#endif
