/* SPDX-License-Identifier: GPL-2.0 */
/* Memory that the control groups of this process let it use. */
#ifndef MIGRATE_OS_MEMORY_LIMIT_H
#define MIGRATE_OS_MEMORY_LIMIT_H

#include <stddef.h>
#include <stdint.h>

#define MEMORY_RESERVE	(64UL << 20)	/* bytes that are left to the machine, and in a group to others */

/**
 * memory_limit_room() - bytes that the caller may still use under the limits of its groups
 * @group: filled with the directory of the group that leaves least
 * @size: bytes of @group
 * Return: bytes, with reclaimable page cache counted as free; UINT64_MAX when no group has a limit
 */
uint64_t memory_limit_room(char *group, size_t size);

/** memory_limit_at() - memory_limit_room() of one group's directory (v2 or v1); for tests */
uint64_t memory_limit_at(const char *dir);

#endif
