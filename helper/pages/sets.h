/* SPDX-License-Identifier: GPL-2.0 */
/* Walks through two page sets: the runs that are in both, or only in one. */
#ifndef MIGRATE_PAGES_SETS_H
#define MIGRATE_PAGES_SETS_H

#include "pages/page_set.h"

static inline uint64_t run_end(const struct run *run)
{
	return run->addr + run->nr_pages * PAGE_BYTES;
}

/**
 * sets_next_both() - first run that is in @a and in @b, at or after @addr, below @end
 * @max_pages: longest run wanted; 0: a default
 * Return: false when there is none
 */
bool sets_next_both(const struct page_set *a, const struct page_set *b, uint64_t addr,
		    uint64_t end, uint64_t max_pages, struct run *run);

/** sets_next_only() - sets_next_both() for pages that are in @a and not in @b */
bool sets_next_only(const struct page_set *a, const struct page_set *b, uint64_t addr,
		    uint64_t end, uint64_t max_pages, struct run *run);

/** sets_copy() - add all of @from to @to; after a failure (-1) @to may have a part of them */
int sets_copy(struct page_set *to, const struct page_set *from, struct error *err);

/** sets_clear() - take all pages out of @set */
void sets_clear(struct page_set *set);

#endif
