/* SPDX-License-Identifier: GPL-2.0 */
/* One pagemap: which pages it lists, and where they are in its pages image. */
#ifndef MIGRATE_SERVICES_PAGE_LEVEL_H
#define MIGRATE_SERVICES_PAGE_LEVEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/**
 * struct page_extent - pages side by side in memory and in the file
 * @addr, @end: addresses
 * @at: offset in the pages image of the first one, with PAGEMAP_PRESENT
 * @flags: PAGEMAP_PRESENT: the pages image has them; else PAGEMAP_PARENT: the next level has them; neither: they are in no image
 */
struct page_extent {
	uint64_t addr, end, at;
	uint32_t flags;
};

/**
 * struct page_level - zeroed is empty
 * @extents: in order of their addresses
 * @pages_id: number of the pages image; @bytes: that it must have
 * @elsewhere: the next level has some pages
 * @wide: written by CRIU 4.2 or later, whose page server has commands of 32 bytes
 */
struct page_level {
	struct page_extent *extents;
	size_t nr, room;
	uint32_t pages_id;
	uint64_t bytes;
	bool elsewhere, wide;
};

/** page_level_read() - read the open pagemap @fd with the @name into a zeroed level, and no page */
int page_level_read(struct page_level *level, int fd, const char *name, struct error *err);

/** page_level_find() - the extent with @addr, or the first one behind it; NULL: there is none */
const struct page_extent *page_level_find(const struct page_level *level, uint64_t addr);

void page_level_free(struct page_level *level);

#endif
