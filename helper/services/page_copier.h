/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Carries pages of a running process into its image: by reference where backend and file can do that, else by a copy.
 *
 * With a parent each page is compared with what the chain of parents has: a page that is the same is left to them.
 */
#ifndef MIGRATE_SERVICES_PAGE_COPIER_H
#define MIGRATE_SERVICES_PAGE_COPIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backend/backend.h"
#include "services/image_writer.h"
#include "services/pages_file.h"
#include "services/page_chain.h"

/**
 * struct page_counts - pages
 * @copied, @by_reference: written
 * @same: left to the parent
 * @vanished: gone between the scan and the read; whatever comes there is new for the next dump
 * @unreadable: still there, but not to be read
 */
struct page_counts {
	uint64_t copied, by_reference, same, vanished, unreadable;
};

/** struct page_left - @nr pages side by side that could not be read */
struct page_left {
	uint64_t addr, nr;
};

#define PAGE_LEFT_MAX	16	/* places that are told of each process */

/**
 * struct page_copier - one process
 * @backend: of the process
 * @writer, @file: its images
 * @parent: empty: there is none
 * @addrs: the first @nr are pages that are to be read, in ascending order
 * @entry: the last pages, for which there is no entry of the pagemap yet; 0 pages: none
 * @references: pages may go by reference
 * @left, @nr_left: the first places that could not be read, and how many there were
 * @other: room for what the parent has
 */
struct page_copier {
	struct backend *backend;
	struct image_writer *writer;
	struct pages_file *file;
	struct page_chain *parent;
	uint64_t addrs[PAGES_FILE_BATCH];
	size_t nr;
	struct {
		uint64_t addr, nr_pages;
		uint32_t flags;
	} entry;
	bool references;
	uint8_t *other;
	struct page_counts counts;
	struct page_left left[PAGE_LEFT_MAX];
	size_t nr_left;
};

/** page_copier_init() - call pages_file_begin() before, and page_copier_free() after it in any case */
int page_copier_init(struct page_copier *copier, struct backend *backend, struct image_writer *writer,
		     struct pages_file *file, struct page_chain *parent, struct error *err);
void page_copier_free(struct page_copier *copier);

/** page_copier_add() - carry @nr_pages pages from @addr on, which lie behind all earlier ones; maybe later */
int page_copier_add(struct page_copier *copier, uint64_t addr, uint64_t nr_pages, struct error *err);

/** page_copier_flush() - carry all that was added */
int page_copier_flush(struct page_copier *copier, struct error *err);

/** page_copier_finish() - page_copier_flush(), and all is in the files */
int page_copier_finish(struct page_copier *copier, struct error *err);

#endif
