// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "os/id_map.h"

static bool overlap(uint32_t a, uint32_t b, uint32_t a_count, uint32_t b_count)
{
	return a < (uint64_t)b + b_count && b < (uint64_t)a + a_count;
}

/* The largest id, -1, is none. */
static bool is_plain(uint32_t first, uint32_t count)
{
	return count && (uint64_t)first + count <= UINT32_MAX;
}

bool id_map_add(struct id_map *map, const struct id_range *range)
{
	if (map->nr == ID_RANGES_MAX || !is_plain(range->inside, range->count) ||
	    !is_plain(range->outside, range->count))
		return false;
	for (size_t i = 0; i < map->nr; i++) {
		const struct id_range *old = &map->ranges[i];

		if (overlap(range->inside, old->inside, range->count, old->count) ||
		    overlap(range->outside, old->outside, range->count, old->count))
			return false;
	}
	map->ranges[map->nr++] = *range;
	return true;
}

int id_map_read(struct id_map *map, pid_t pid, const char *name, struct error *err)
{
	struct id_range range;
	char path[48];
	FILE *file;
	int got;

	map->nr = 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = fopen(path, "re");
	if (!file)
		return error_errno(err, CODE_TARGET, NULL, "cannot read %s", path);
	do {
		got = fscanf(file, "%" SCNu32 " %" SCNu32 " %" SCNu32, &range.inside, &range.outside,
			     &range.count);
	} while (got == 3 && id_map_add(map, &range));
	fclose(file);
	return got == EOF ? 0 :
	       error_set(err, CODE_TARGET, NULL, "%s is not as this helper knows it", path);
}

bool id_map_outside(const struct id_map *map, uint32_t inside, uint32_t *outside)
{
	for (size_t i = 0; i < map->nr; i++) {
		const struct id_range *range = &map->ranges[i];

		if (inside < range->inside || inside - range->inside >= range->count)
			continue;
		*outside = range->outside + (inside - range->inside);
		return true;
	}
	return false;
}

bool id_map_has(const struct id_map *map, uint32_t outside)
{
	for (size_t i = 0; i < map->nr; i++)
		if (outside >= map->ranges[i].outside &&
		    outside - map->ranges[i].outside < map->ranges[i].count)
			return true;
	return false;
}

bool id_map_same(const struct id_map *a, const struct id_map *b)
{
	return a->nr == b->nr && !memcmp(a->ranges, b->ranges, a->nr * sizeof(*a->ranges));
}
