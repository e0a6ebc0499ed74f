/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_MEMFS_H
#define MIGRATE_OS_MEMFS_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"

/* Default directories of migrations: the second one when the first is not on tmpfs. */
#define MEMFS_BASE_RUN	"/run/migrate-helper"
#define MEMFS_BASE_SHM	"/dev/shm/migrate-helper"

/** memfs_holds() - true when @path is on tmpfs, or would be if made */
bool memfs_holds(const char *path);

/** memfs_base() - default directory of migrations: one of the two above */
const char *memfs_base(void);

/**
 * memfs_detached() - a memory file system that no path leads to, and that ends with the last descriptor in it
 * Return: a descriptor of its root, or -1 with @err
 */
int memfs_detached(unsigned long max_mib, struct error *err);

/**
 * memfs_kernels_device() - device of the kernel's own tmpfs, on which memfds, System V segments and anonymous shared memory
 *	are, and which nobody has mounted
 */
int memfs_kernels_device(dev_t *dev, struct error *err);

#endif
