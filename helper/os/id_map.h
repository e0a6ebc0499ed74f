/* SPDX-License-Identifier: GPL-2.0 */
/* Which uids, or gids, of the machine the ids of a user namespace are. */
#ifndef MIGRATE_OS_ID_MAP_H
#define MIGRATE_OS_ID_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

#define ID_RANGES_MAX	340	/* that the kernel takes */

/** struct id_range - @count ids from @inside on are those from @outside on of the machine */
struct id_range {
	uint32_t inside, outside, count;
};

/** struct id_map - zeroed is empty */
struct id_map {
	size_t nr;
	struct id_range ranges[ID_RANGES_MAX];
};

/** id_map_add() - false: the map is full, or ids would be there twice, or beyond the largest */
bool id_map_add(struct id_map *map, const struct id_range *range);
/** id_map_read() - @name: "uid_map" or "gid_map" of process @pid, as the caller's user namespace sees it */
int id_map_read(struct id_map *map, pid_t pid, const char *name, struct error *err);
/** id_map_outside() - *@outside: the machine's id of @inside. Return: false: it has none */
bool id_map_outside(const struct id_map *map, uint32_t inside, uint32_t *outside);
/** id_map_has() - the machine's id @outside is one of the namespace */
bool id_map_has(const struct id_map *map, uint32_t outside);
/** id_map_same() - both have the same ranges in the same order */
bool id_map_same(const struct id_map *a, const struct id_map *b);

#endif
