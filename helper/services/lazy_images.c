// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/io.h"
#include "criu/pagemap.h"
#include "services/lazy_images.h"

#define EXTENTS_MIN	64

static int add_extent(void *ctx, const struct pagemap_entry *entry, uint64_t at, struct error *err)
{
	struct lazy_images *images = ctx;

	if (images->nr == images->room) {
		size_t room = images->room ? 2 * images->room : EXTENTS_MIN;
		struct lazy_extent *more = reallocarray(images->extents, room, sizeof(*more));

		if (!more)
			return error_set(err, CODE_INTERNAL, NULL, "no memory for the pagemap");
		images->extents = more;
		images->room = room;
	}
	images->extents[images->nr++] =
		(struct lazy_extent){ entry->addr, entry->nr_pages, at, entry->flags };
	return 0;
}

static int read_pagemap(struct lazy_images *images, struct error *err)
{
	struct pagemap_walk walk = { .take = add_extent, .ctx = images };
	char name[IMAGE_NAME_MAX];
	int ret;

	pagemap_name(name, images->pid);
	ret = pagemap_walk(images->dir_fd, name, &walk, err);
	images->pages_id = walk.pages_id;
	images->wide = walk.wide;
	return ret;
}

struct lazy_images *lazy_images_open(int dir_fd, pid_t pid, struct error *err)
{
	struct lazy_images *images = calloc(1, sizeof(*images));

	if (!images) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for the pagemap");
		return NULL;
	}
	images->pid = pid;
	images->fd = -1;
	images->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	if (images->dir_fd < 0)
		error_errno(err, CODE_INTERNAL, NULL, "cannot use the images of task %d", pid);
	else if (!read_pagemap(images, err))
		return images;
	lazy_images_free(images);
	return NULL;
}

int lazy_images_lacking(const struct lazy_images *images, struct page_set *set, struct error *err)
{
	for (size_t i = 0; i < images->nr; i++)
		if ((images->extents[i].flags & PAGEMAP_LAZY) &&
		    page_set_add(set, images->extents[i].addr, images->extents[i].nr_pages, err))
			return -1;
	return 0;
}

/* Return: NULL when no extent has the page */
static const struct lazy_extent *extent_at(const struct lazy_images *images, uint64_t addr)
{
	size_t low = 0, high = images->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct lazy_extent *extent = &images->extents[middle];

		if (extent->addr + extent->nr_pages * PAGE_BYTES <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < images->nr && images->extents[low].addr <= addr ? &images->extents[low] : NULL;
}

static int open_parent(struct lazy_images *images, struct error *err)
{
	int fd;

	if (images->parent)
		return 0;
	fd = openat(images->dir_fd, "parent", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "the parent's images of task %d", images->pid);
	images->parent = lazy_images_open(fd, images->pid, err);
	close(fd);
	return images->parent ? 0 : -1;
}

/*
 * The images that have pages from @addr on; *@nr_pages becomes the number of those that are in a piece.
 * Return: NULL with @err when neither these images nor those of a parent list the page
 */
static struct lazy_images *look_up(struct lazy_images *images, bool may_open, uint64_t addr,
					 uint64_t *nr_pages, uint64_t *at, struct error *err)
{
	for (int depth = 0; images && depth < LAZY_PARENTS_MAX; depth++) {
		const struct lazy_extent *extent = extent_at(images, addr);
		uint64_t skip;

		if (!extent)
			break;
		skip = (addr - extent->addr) / PAGE_BYTES;
		if (*nr_pages > extent->nr_pages - skip)
			*nr_pages = extent->nr_pages - skip;
		*at = extent->at + skip;
		if (extent->flags & PAGEMAP_PRESENT)
			return images;
		if (!(extent->flags & PAGEMAP_PARENT) || (may_open && open_parent(images, err)))
			break;
		images = images->parent;
	}
	error_set(err, CODE_CRIU, "its pages are at the dump: --address and --port say where that listens",
		  "the images do not have the page at %#" PRIx64, addr);
	return NULL;
}

int lazy_images_check(struct lazy_images *images, struct error *err)
{
	for (size_t i = 0; i < images->nr; i++) {
		uint64_t addr = images->extents[i].addr, at;
		uint64_t end = addr + images->extents[i].nr_pages * PAGE_BYTES;

		while ((images->extents[i].flags & PAGEMAP_LAZY) && addr < end) {
			uint64_t nr_pages = (end - addr) / PAGE_BYTES;

			if (!look_up(images, true, addr, &nr_pages, &at, err))
				return -1;
			addr += nr_pages * PAGE_BYTES;
		}
	}
	return 0;
}

static int open_pages(struct lazy_images *images, struct error *err)
{
	char name[IMAGE_NAME_MAX];

	if (images->fd >= 0)
		return 1;
	snprintf(name, sizeof(name), "pages-%u.img", images->pages_id);
	images->fd = openat(images->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (images->fd < 0 && errno != ENOENT)
		return error_errno(err, CODE_CRIU, NULL, "the image %s", name);
	return images->fd >= 0;
}

int lazy_images_read(struct lazy_images *images, uint64_t addr, uint64_t *nr_pages, void *buf,
		     struct error *err)
{
	struct lazy_images *has;
	size_t done = 0;
	uint64_t at;
	int ret;

	has = look_up(images, false, addr, nr_pages, &at, err);
	if (!has)
		return -1;
	ret = open_pages(has, err);
	if (ret <= 0)
		return ret;
	if (io_pread_all(has->fd, buf, *nr_pages * PAGE_BYTES, at * PAGE_BYTES, &done))
		return error_errno(err, CODE_CRIU, NULL, "cannot read pages-%u.img", has->pages_id);
	*nr_pages = done / PAGE_BYTES;
	return *nr_pages > 0;
}

void lazy_images_free(struct lazy_images *images)
{
	while (images) {
		struct lazy_images *parent = images->parent;

		if (images->fd >= 0)
			close(images->fd);
		if (images->dir_fd >= 0)
			close(images->dir_fd);
		free(images->extents);
		free(images);
		images = parent;
	}
}
