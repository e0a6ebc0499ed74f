/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two images of one object in the making: pagemap-*.img, and pages-N.img with the pages that the first
 * one lists as present. Both have the suffix PART_SUFFIX until their directory publishes them.
 */
#ifndef MIGRATE_SERVICES_IMAGE_WRITER_H
#define MIGRATE_SERVICES_IMAGE_WRITER_H

#include <stdint.h>
#include "criu/image.h"

/* `criu dump` numbers its own pages images from 1, possibly in the same directory */
#define IMAGE_DIR_FIRST_ID	0x10001

#define PART_SUFFIX	".part"
#define PART_NAME_MAX	(IMAGE_NAME_MAX + sizeof(PART_SUFFIX))

/** struct image_made - an object whose images are written; @target: as in a page_command */
struct image_made {
	uint64_t target;
	uint32_t pages_id;
};

/** struct image_counts - pages that came, and pages that entries list without content */
struct image_counts {
	uint64_t present, in_parent, lazy;
};

/**
 * struct image_writer - one object
 * @map_fd, @pages_fd: the files; -1: not open
 * @map: records that @map_fd lacks
 * @from: lowest address that the next entry may have
 */
struct image_writer {
	struct image_made made;
	int dir_fd, map_fd, pages_fd;
	struct image_out map;
	uint64_t from;
	struct image_counts counts;
};

#define IMAGE_WRITER_NONE ((struct image_writer){ .map_fd = -1, .pages_fd = -1 })

/** image_writer_open() - create both files */
int image_writer_open(struct image_writer *writer, int dir_fd, const struct image_made *made,
		      struct error *err);

/** image_writer_entry() - add an entry to the pagemap; its pages follow when @flags has PAGEMAP_PRESENT */
int image_writer_entry(struct image_writer *writer, uint64_t addr, uint64_t nr_pages,
		       uint32_t flags, struct error *err);

/** image_writer_finish() - write what is left, and close the files; they keep their suffix */
int image_writer_finish(struct image_writer *writer, struct error *err);

/** image_writer_drop() - close the files */
void image_writer_drop(struct image_writer *writer);

/** image_made_names() - names of the pagemap and the pages image, without the suffix */
void image_made_names(const struct image_made *made, char map[IMAGE_NAME_MAX],
		      char pages[IMAGE_NAME_MAX]);

#endif
