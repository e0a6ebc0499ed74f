/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_MEMFS_H
#define MIGRATE_OS_MEMFS_H

#include <stdbool.h>

/* Where directories of migrations are by default; the second when the first is not in memory. */
#define MEMFS_BASE_RUN	"/run/migrate-helper"
#define MEMFS_BASE_SHM	"/dev/shm/migrate-helper"

/** memfs_holds() - @path is, or would be made, on tmpfs */
bool memfs_holds(const char *path);

/** memfs_base() - where the directories of migrations are by default: in memory where there is any */
const char *memfs_base(void);

#endif
