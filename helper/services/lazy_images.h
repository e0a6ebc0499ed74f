/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pagemap and pages images of one task, with those of the parents: which pages a lazy restore leaves out, and
 * where in the images they are. The images with pages may still be on their way: each is read when its pages
 * are wanted.
 */
#ifndef MIGRATE_SERVICES_LAZY_IMAGES_H
#define MIGRATE_SERVICES_LAZY_IMAGES_H

#include <stdbool.h>
#include <sys/types.h>
#include "pages/page_set.h"

#define LAZY_PARENTS_MAX	1024	/* longest chain of parents */

/** struct lazy_extent - an entry of a pagemap; @at: number of its first page in the pages image */
struct lazy_extent {
	uint64_t addr, nr_pages, at;
	uint32_t flags;
};

/**
 * struct lazy_images - of one task in one directory
 * @dir_fd: owned
 * @fd: pages image, -1 until it is there
 * @wide: written by CRIU 4.2 or later, whose page server has commands of 32 bytes
 * @parent: NULL until a page is looked for there
 */
struct lazy_images {
	int dir_fd, fd;
	pid_t pid;
	uint32_t pages_id;
	struct lazy_extent *extents;
	size_t nr, room;
	bool wide;
	struct lazy_images *parent;
};

/** lazy_images_open() - read the pagemap of task @pid. Return: the images, or NULL with @err */
struct lazy_images *lazy_images_open(int dir_fd, pid_t pid, struct error *err);

/** lazy_images_lacking() - add all pages to @set that the restore leaves out */
int lazy_images_lacking(const struct lazy_images *images, struct page_set *set, struct error *err);

/** lazy_images_check() - whether the images, or those of a parent, list each page that the restore leaves out */
int lazy_images_check(struct lazy_images *images, struct error *err);

/**
 * lazy_images_read() - read pages that lazy_images_check() has found
 * @nr_pages: in: most pages, out: pages that were read
 * Return: 1; 0 when the file with these pages is not there yet, or too short; -1 with @err
 */
int lazy_images_read(struct lazy_images *images, uint64_t addr, uint64_t *nr_pages, void *buf,
		     struct error *err);

void lazy_images_free(struct lazy_images *images);

#endif
