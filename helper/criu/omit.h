/* SPDX-License-Identifier: GPL-2.0 */
/* Pages of CRIU's images that need not travel, since the destination has them. */
#ifndef MIGRATE_CRIU_OMIT_H
#define MIGRATE_CRIU_OMIT_H

#include <sys/types.h>
#include "criu/image.h"
#include "pages/page_set.h"

/** struct omit_piece - @bytes of the pages image from @offset on */
struct omit_piece {
	uint64_t offset, bytes;
};

/**
 * struct omit - which part of a task's pages image travels
 * @name: of the pages image
 * @pieces: what travels, in order; one after the other they are the image that the new pagemap
 *	belongs to
 * @bytes: the sum of @pieces
 * @pages: how many pages are left out
 */
struct omit {
	char name[IMAGE_NAME_MAX];
	struct omit_piece *pieces;
	size_t nr;
	uint64_t bytes, pages;
};

/**
 * omit_pages() - make the pagemap of @pid say "in the parent" for pages that lie elsewhere
 * @elsewhere: pages of mappings that are never restored lazily, whose content the destination has
 * @carried: gets the pages that the pages image carries still
 * @omit: filled; omit_free() after a failure too
 *
 * Only the pagemap is written anew. The pages image stays as it is here: who sends it sends @omit's
 * pieces alone.
 * Return: -1 with @err: CODE_CRIU when the images are not as this code knows them
 */
int omit_pages(int images_dir_fd, pid_t pid, const struct page_set *elsewhere,
	       struct page_set *carried, struct omit *omit, struct error *err);
void omit_free(struct omit *omit);

#endif
