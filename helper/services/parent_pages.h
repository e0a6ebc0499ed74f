/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The content of the pages of one process in a chain of images: a parent's pagemap says that it has a page itself, or
 * that its own parent has it.
 */
#ifndef MIGRATE_SERVICES_PARENT_PAGES_H
#define MIGRATE_SERVICES_PARENT_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

#define PARENT_LEVELS_MAX	1024	/* longest chain; also ends one that leads to itself */

/**
 * struct parent_extent - pages side by side in memory and in the file
 * @addr, @end: addresses
 * @at: offset of the first in the pages image; PARENT_ELSEWHERE: the next level has them
 */
struct parent_extent {
	uint64_t addr, end, at;
};

#define PARENT_ELSEWHERE	UINT64_MAX

/** struct parent_level - one directory of the chain; @pages_fd: -1: it has no page itself */
struct parent_level {
	struct parent_extent *extents;
	size_t nr, room;
	int pages_fd;
};

/**
 * struct parent_level_pages - what a pagemap says of its pages image
 * @id: its number; @bytes: that it must have
 * @elsewhere: some pages are in the next level
 */
struct parent_level_pages {
	uint32_t id;
	uint64_t bytes;
	bool elsewhere;
};

/** parent_level_read() - read the open pagemap @fd with the @name into a zeroed level, and no page */
int parent_level_read(struct parent_level *level, int fd, const char *name,
		      struct parent_level_pages *pages, struct error *err);

/** parent_level_find() - the extent with @addr, or the first one behind it; NULL: there is none */
const struct parent_extent *parent_level_find(const struct parent_level *level, uint64_t addr);

/** struct parent_pages - the chain, from the youngest directory on. Zeroed is empty */
struct parent_pages {
	struct parent_level *levels;
	size_t nr;
};

/**
 * parent_pages_open() - read the pagemaps of @target in the directory @dir_fd, and in its parents as far as needed
 * Return: 1; 0 when the directory has no image of it; -1 with @err: an image, or a file with pages, is damaged
 */
int parent_pages_open(struct parent_pages *parent, int dir_fd, uint64_t target, struct error *err);

/**
 * parent_pages_read() - read the first pages of [@addr, @addr + @nr pages) that are alike
 * @buf: filled, if the chain has these pages
 * @has: whether it has
 * Return: how many pages are alike, at least 1; -1 with @err
 */
ssize_t parent_pages_read(const struct parent_pages *parent, uint64_t addr, size_t nr, void *buf, bool *has,
			  struct error *err);

void parent_pages_free(struct parent_pages *parent);

#endif
