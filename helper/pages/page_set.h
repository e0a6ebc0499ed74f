/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_PAGES_PAGE_SET_H
#define MIGRATE_PAGES_PAGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/page.h"

struct page_group;

/** struct page_set_slot - of a set: group number @key, of 1 GiB of address space each */
struct page_set_slot {
	uint64_t key;
	struct page_group *group;
};

/**
 * struct page_set - a set of pages of one address space. Zeroed is empty
 * @groups: ordered by key; @room of them fit. A group has bits for the blocks of 16 MiB in which the set ever had a page
 * @nr: pages in the set
 *
 * A program of hundreds of processes has thousands of sets, of some pages each, in three or four places of the address
 * space. So the bits are small pieces of ordinary memory: a mapping for each set costs calls of the kernel, page faults and
 * page tables.
 *
 * Addresses are in bytes, lengths in pages. The owner of the set locks.
 */
struct page_set {
	struct page_set_slot *groups;
	size_t nr_groups, room;
	uint64_t nr;
};

/** struct run - @nr_pages pages from @addr (bytes) on */
struct run {
	uint64_t addr;
	uint64_t nr_pages;
};

static inline void page_set_init(struct page_set *set)
{
	*set = (struct page_set){ .nr = 0 };
}
void page_set_destroy(struct page_set *set);

/**
 * page_set_add() - add pages
 * Return: 0; -1 with CODE_NOT_READY when memory is short, and @set is as before
 */
int page_set_add(struct page_set *set, uint64_t addr, uint64_t nr_pages, struct error *err);
void page_set_remove(struct page_set *set, uint64_t addr, uint64_t nr_pages);

/** page_set_cost() - bytes of memory that page_set_add() of these pages would take */
uint64_t page_set_cost(const struct page_set *set, uint64_t addr, uint64_t nr_pages);

/** page_set_common() - number of pages that are in both sets */
uint64_t page_set_common(const struct page_set *a, const struct page_set *b);
bool page_set_has(const struct page_set *set, uint64_t addr);

/**
 * page_set_next() - first run of members at or after @addr and below @end
 * @max_pages: longest run wanted; 0 is no limit
 * Return: false when there is none
 *
 * The search skips parts of the address space in which the set never had a page. A caller that
 * knows the VMAs bounds @addr and @end by them.
 */
bool page_set_next(const struct page_set *set, uint64_t addr, uint64_t end,
		   uint64_t max_pages, struct run *run);

#endif
