/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mirror of one address space: a sparse memfd in which the offset of a page
 * is its address at the source, and the set of pages that are in it.
 */
#ifndef MIGRATE_DEST_STORE_H
#define MIGRATE_DEST_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include "base/error.h"
#include "dest/budget.h"
#include "pages/page_set.h"

/** struct store_range - bytes [@start, @end) that the source announced */
struct store_range {
	uint64_t start, end;
};

/**
 * struct store_window - part of the memfd mapped here, 1 GiB aligned
 *
 * Larger than what was announced, so that mappings which grow and come and go do
 * not move it, and a program with 65000 mappings needs a handful.
 */
struct store_window {
	uint64_t start, end;
	uint8_t *base;
};

/**
 * struct store_windows - all windows of one list of mappings; unmapped with the last reference
 * @refs: of the store, and of each receiver that has bytes on their way into a window. Changed
 *	under store.map_lock
 */
struct store_windows {
	unsigned int refs;
	size_t nr;
	struct store_window window[];
};

/**
 * struct store - mirror of one address space
 * @fd: the memfd
 * @budget: pays for what is in @have; NULL: nobody asks
 * @have: pages whose content is here; memory.lock
 * @map_lock: for @ranges and @windows. Never held while bytes are waited for: who receives into
 *	a window holds a reference. Taken before memory.lock. After memory_seal() nothing
 *	changes them and no lock is needed
 * @punched: pages since the windows were mapped; each may have left a page table behind
 * @ranges: what pages may be sent for, in order, not overlapping
 */
struct store {
	int fd;
	struct budget *budget;
	struct page_set have;
	pthread_mutex_t map_lock;
	atomic_ulong punched;
	struct store_range *ranges;
	size_t nr_ranges;
	struct store_windows *windows;
};

int store_open(struct store *store, struct error *err);
void store_close(struct store *store);

/**
 * store_announce() - the source's mappings, in order; replaces the earlier list
 *
 * Takes @map_lock. Pages of @have outside the new list are for the caller to drop.
 */
int store_announce(struct store *store, const struct store_range *ranges, size_t nr,
		   struct error *err);

/** store_announced() - all of the run lies in announced ranges; @map_lock held */
bool store_announced(const struct store *store, uint64_t addr, uint64_t nr_pages);

/**
 * store_windows_get() - windows that stay where they are until store_windows_put()
 *
 * Takes @map_lock, as store_windows_put() does. Before memory_seal() only: it may map them anew.
 */
struct store_windows *store_windows_get(struct store *store);
void store_windows_put(struct store *store, struct store_windows *windows);

/** store_windows_at() - where the run is mapped here, or NULL */
void *store_windows_at(const struct store_windows *windows, uint64_t addr, uint64_t nr_pages);

/** store_at() - the same for the windows of now; @map_lock held, or after memory_seal() */
void *store_at(const struct store *store, uint64_t addr, uint64_t nr_pages);

/** store_add() - the pages are in their place: into @have */
int store_add(struct store *store, uint64_t addr, uint64_t nr_pages, struct error *err);

/** store_punch() - give the memory of the run back and take it out of @have */
void store_punch(struct store *store, uint64_t addr, uint64_t nr_pages);

/** store_write() - put pages in their place without a window, and into @have */
int store_write(struct store *store, uint64_t addr, uint64_t nr_pages, const void *data,
		struct error *err);

int store_read(const struct store *store, uint64_t addr, uint64_t nr_pages, void *buf,
	       struct error *err);

#endif
