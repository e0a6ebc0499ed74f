// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "base/page.h"
#include "criu/pagemap.h"
#include "services/page_level.h"

#define ROOM_MIN	64UL

static int take_entry(void *ctx, const struct pagemap_entry *entry, uint64_t at, struct error *err)
{
	struct page_level *level = ctx;
	size_t room = level->room ? level->room * 2 : ROOM_MIN;
	struct page_extent *extents;

	if (level->nr == level->room) {
		extents = reallocarray(level->extents, room, sizeof(*extents));
		if (!extents)
			return error_set(err, CODE_INTERNAL, NULL, "no memory for a pagemap");
		level->extents = extents;
		level->room = room;
	}
	level->extents[level->nr++] = (struct page_extent){
		.addr = entry->addr, .end = entry->addr + entry->nr_pages * PAGE_BYTES,
		.at = at * PAGE_BYTES, .flags = entry->flags,
	};
	level->elsewhere |= !(entry->flags & PAGEMAP_PRESENT) && (entry->flags & PAGEMAP_PARENT);
	return 0;
}

int page_level_read(struct page_level *level, int fd, const char *name, struct error *err)
{
	struct pagemap_walk walk = { .take = take_entry, .ctx = level };
	int ret = pagemap_walk_fd(fd, name, &walk, err);

	level->pages_id = walk.pages_id;
	level->bytes = walk.present * PAGE_BYTES;
	level->wide = walk.wide;
	return ret;
}

const struct page_extent *page_level_find(const struct page_level *level, uint64_t addr)
{
	size_t low = 0, high = level->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (level->extents[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < level->nr ? &level->extents[low] : NULL;
}

void page_level_free(struct page_level *level)
{
	free(level->extents);
	*level = (struct page_level){ 0 };
}
