/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that come after FINAL are installed at once in each space that lacks them: a page that is
 * only in the mirror wakes no waiting thread. The functions take mm.lock.
 */
#ifndef MIGRATE_DEST_LATE_PAGES_H
#define MIGRATE_DEST_LATE_PAGES_H

#include "dest/mm.h"

/**
 * late_pages_take() - install pages that came from the source, or store them in the mirror
 * @data: content of the pages, or NULL for zeros
 * @urgent: the pages came over the urgent connection
 */
int late_pages_take(struct mm *mm, uint64_t origin, uint64_t nr_pages, const void *data,
		    bool urgent, struct error *err);
/**
 * late_pages_pushed() - nothing of the push is left on @stream of @streams; of the last one: request all pages that still lack
 *
 * Those that were requested before too: of a page that the push had taken the source may have kept
 * silent, and now says that it is lost. Return: 1 when it was the last one; 0; -1 with @err: CODE_PEER when it was said before
 */
int late_pages_pushed(struct mm *mm, unsigned int stream, unsigned int streams, struct error *err);
/**
 * late_pages_fetch() - move pages out of the mirror, each once; pages that lack are requested and waited for
 */
int late_pages_fetch(struct mm *mm, uint64_t addr, uint64_t nr_pages, void *buf,
		     struct error *err);

#endif
