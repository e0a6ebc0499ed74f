/* SPDX-License-Identifier: GPL-2.0 */
/* Which pages a parent image, or its own parent, has: a child image may leave these out, and no others. */
#ifndef MIGRATE_SERVICES_PARENT_MAP_H
#define MIGRATE_SERVICES_PARENT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/** struct parent_range - the addresses from @addr up to, but not including, @end */
struct parent_range {
	uint64_t addr, end;
};

/** struct parent_map - ascending ranges that do not touch. Zeroed is empty */
struct parent_map {
	struct parent_range *ranges;
	size_t nr, room;
};

/**
 * parent_map_read() - read the pagemap image of @target
 * @dir_fd: the parent's directory
 * Return: 1; 0 when the parent has no such image; -1 with @err when the image, or the file with its pages, is
 *	damaged
 */
int parent_map_read(struct parent_map *map, int dir_fd, uint64_t target, struct error *err);

/** parent_map_has() - whether the parent has each of these pages; @nr_pages >= 1 */
bool parent_map_has(const struct parent_map *map, uint64_t addr, uint64_t nr_pages);

void parent_map_free(struct parent_map *map);

#endif
