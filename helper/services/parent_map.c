// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/page.h"
#include "criu/page_command.h"
#include "criu/pagemap.h"
#include "services/parent_map.h"

#define ROOM_MIN	64

static int parent_map_add(struct parent_map *map, const struct pagemap_entry *entry,
			  struct error *err)
{
	uint64_t end = entry->addr + entry->nr_pages * PAGE_BYTES;
	size_t room = map->room ? map->room * 2 : ROOM_MIN;
	struct parent_range *ranges;

	if (map->nr && map->ranges[map->nr - 1].end == entry->addr) {
		map->ranges[map->nr - 1].end = end;
		return 0;
	}
	if (map->nr == map->room) {
		ranges = reallocarray(map->ranges, room, sizeof(*ranges));
		if (!ranges)
			return error_set(err, CODE_INTERNAL, NULL, "no memory for the parent's pagemap");
		map->ranges = ranges;
		map->room = room;
	}
	map->ranges[map->nr++] = (struct parent_range){ entry->addr, end };
	return 0;
}

/* CRIU gives up a restore when the file is shorter than the pages that the pagemap lists. */
static int check_pages(int dir_fd, uint32_t id, uint64_t nr_pages, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	struct stat st;

	snprintf(name, sizeof(name), "pages-%u.img", id);
	if (!nr_pages)
		return 0;
	if (fstatat(dir_fd, name, &st, 0))
		return error_errno(err, CODE_CRIU, NULL, "the parent's image %s", name);
	if ((uint64_t)st.st_size / PAGE_BYTES < nr_pages)
		return error_set(err, CODE_CRIU, NULL, "the parent's image %s is cut short", name);
	return 0;
}

static int take_entry(void *map, const struct pagemap_entry *entry, uint64_t at, struct error *err)
{
	/* lazy pages without content never came into the parent */
	return entry->flags & (PAGEMAP_PRESENT | PAGEMAP_PARENT) ? parent_map_add(map, entry, err) : 0;
}

static int read_image(struct parent_map *map, int dir_fd, const char *name, struct error *err)
{
	struct pagemap_walk walk = { .take = take_entry, .ctx = map };

	return pagemap_walk(dir_fd, name, &walk, err) ||
	       check_pages(dir_fd, walk.pages_id, walk.present, err) ? -1 : 0;
}

int parent_map_read(struct parent_map *map, int dir_fd, uint64_t target, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	struct stat st;

	memset(map, 0, sizeof(*map));
	page_target_name(target, "", name);
	if (fstatat(dir_fd, name, &st, 0) && errno == ENOENT)
		return 0;
	if (!read_image(map, dir_fd, name, err))
		return 1;
	parent_map_free(map);
	return -1;
}

bool parent_map_has(const struct parent_map *map, uint64_t addr, uint64_t nr_pages)
{
	size_t low = 0, high = map->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct parent_range *range = &map->ranges[middle];

		if (range->end <= addr)
			low = middle + 1;
		else if (range->addr > addr)
			high = middle;
		else
			return (range->end - addr) / PAGE_BYTES >= nr_pages;
	}
	return false;
}

void parent_map_free(struct parent_map *map)
{
	free(map->ranges);
	memset(map, 0, sizeof(*map));
}
