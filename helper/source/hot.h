/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that the program wrote in each of the last rounds. To send such a page in the next round is most likely for nothing, so
 * it waits: it stays dirty (source_mm.later, and source_mm.dirty from the end of the round on). It is sent in the first
 * round behind one in which it was not written; or else STALE names it when the rounds end, as every page that is dirty then, and
 * it goes while the program stands, or when it has moved. So what the destination has of it never counts as current meanwhile, and
 * neither the digest nor the oracle of selftests/ sees a difference to a page that was sent and written again.
 *
 * With fewer rounds a program whose rounds shrink would have pages that were written in each by chance.
 */
#ifndef MIGRATE_SOURCE_HOT_H
#define MIGRATE_SOURCE_HOT_H

#include "pages/page_set.h"

#define HOT_ROUNDS	3

/**
 * struct hot - of one address space. Zeroed is empty
 * @written: what the scans behind the last rounds found; @at: which is the newest
 * @pages: that are in all of them
 */
struct hot {
	struct page_set written[HOT_ROUNDS], pages;
	unsigned int at;
};

void hot_destroy(struct hot *hot);

/** hot_begin() - a round has ended: the next scan tells what was written in it */
void hot_begin(struct hot *hot);
/** hot_add() - @nr_pages pages from @addr on were written */
int hot_add(struct hot *hot, uint64_t addr, uint64_t nr_pages, struct error *err);
/** hot_find() - all is told: find @hot.pages */
int hot_find(struct hot *hot, struct error *err);

#endif
