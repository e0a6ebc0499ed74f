/* SPDX-License-Identifier: GPL-2.0 */
/* Work in the mount namespace in which CRIU is about to restore the program. */
#ifndef MIGRATE_DEST_IN_MOUNTS_H
#define MIGRATE_DEST_IN_MOUNTS_H

#include <sys/types.h>
#include "base/error.h"

/**
 * in_mounts() - call @fn in the mount namespace of @init, in a child process
 * @fn: returns 0, or an errno
 * Return: 0, or -1 with errno
 */
int in_mounts(pid_t init, int (*fn)(const void *ctx), const void *ctx);

#endif
