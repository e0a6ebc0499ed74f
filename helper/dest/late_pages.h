/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that come after FINAL. Such a page is installed at once in each space that lacks the page: a
 * page that is only in the mirror wakes nobody. All of these take mm.lock.
 */
#ifndef MIGRATE_DEST_LATE_PAGES_H
#define MIGRATE_DEST_LATE_PAGES_H

#include "dest/mm.h"

/**
 * late_pages_take() - pages that came from the source: installed at once where possible
 * @data: their content, or NULL for zeros
 * @urgent: they came over the urgent connection
 */
int late_pages_take(struct mm *mm, uint64_t origin, uint64_t nr_pages, const void *data,
		    bool urgent, struct error *err);
/** late_pages_pushed() - the source has nothing left to push: request all pages that still lack */
int late_pages_pushed(struct mm *mm, struct error *err);
/**
 * late_pages_fetch() - move pages out of the mirror, each once; pages that lack are requested and waited for
 */
int late_pages_fetch(struct mm *mm, uint64_t addr, uint64_t nr_pages, void *buf,
		     struct error *err);

#endif
