/* SPDX-License-Identifier: GPL-2.0 */
/* Entries of pagemap images, in the forms up to CRIU 4.1 and from CRIU 4.2 on. */
#ifndef MIGRATE_CRIU_PAGEMAP_H
#define MIGRATE_CRIU_PAGEMAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "criu/image.h"
#include "images.pb-c.h"

#define PAGEMAP_PARENT		(1U << 0)
#define PAGEMAP_LAZY		(1U << 1)
#define PAGEMAP_PRESENT		(1U << 2)

/* CRIU up to 4.1 counts pages of an entry in an int in places: 1 TiB an entry is safe */
#define PAGEMAP_PAGES_MAX	(1UL << 28)

/** struct pagemap_entry - an entry of either form */
struct pagemap_entry {
	uint64_t addr;
	uint64_t nr_pages;
	uint32_t flags;
};

/** pagemap_name() - name of the pagemap image of task @pid */
void pagemap_name(char name[IMAGE_NAME_MAX], pid_t pid);

/**
 * pagemap_get() - turn one record into @entry
 * @from: lowest address that the entry may have
 * Return: 0; -1 with @err when the record is malformed
 */
int pagemap_get(const Img__PagemapEntry *raw, uint64_t from, struct pagemap_entry *entry,
		struct error *err);

/**
 * struct pagemap_walk - a pagemap image that is read from its beginning to its end
 * @take: gets each entry; @at: pages of the pages image that lie before those of the entry. -1 with @err ends the walk
 * @ctx: for @take
 * @pages_id: out: number of the pages image
 * @present: out: pages that the pages image must have
 * @wide: out: written by CRIU 4.2 or later, which leave the narrow number 0; our own page server writes both
 */
struct pagemap_walk {
	int (*take)(void *ctx, const struct pagemap_entry *entry, uint64_t at, struct error *err);
	void *ctx;
	uint32_t pages_id;
	uint64_t present;
	bool wide;
};

/** pagemap_walk() - read the image @name of @dir_fd; 0, or -1 with @err, also when it is malformed */
int pagemap_walk(int dir_fd, const char *name, struct pagemap_walk *walk, struct error *err);

/** pagemap_walk_fd() - read the open image @fd, which stays the caller's */
int pagemap_walk_fd(int fd, const char *name, struct pagemap_walk *walk, struct error *err);

/** pagemap_put() - add an entry that all versions of CRIU read; a long one as several */
void pagemap_put(struct image_out *out, uint64_t addr, uint64_t nr_pages, uint32_t flags);

/** pagemap_put_head() - add the first record, which says that pages-@id.img has the data */
void pagemap_put_head(struct image_out *out, uint32_t id);

#endif
