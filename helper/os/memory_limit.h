/* SPDX-License-Identifier: GPL-2.0 */
/* What the control groups that this process is in leave of the machine's memory. */
#ifndef MIGRATE_OS_MEMORY_LIMIT_H
#define MIGRATE_OS_MEMORY_LIMIT_H

#include <stddef.h>
#include <stdint.h>

/**
 * memory_limit_room() - bytes that the caller may still use under its groups' memory limits
 * @group: filled with the directory of the group that leaves least
 * @size: of @group
 * Return: bytes, cache that can be given up counted as free; UINT64_MAX when nothing limits it
 */
uint64_t memory_limit_room(char *group, size_t size);

/** memory_limit_at() - the same for one group's directory of cgroup v2 or v1; for tests */
uint64_t memory_limit_at(const char *dir);

#endif
