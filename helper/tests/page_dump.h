/* SPDX-License-Identifier: GPL-2.0 */
/* The dump of one process, in one call. */
#ifndef MIGRATE_TESTS_PAGE_DUMP_H
#define MIGRATE_TESTS_PAGE_DUMP_H

#include "services/page_sender.h"

static inline int page_dump(const struct page_stream *stream, bool wide, const struct page_sender_task *task,
			    struct page_sender_counts *counts, struct error *err)
{
	struct page_sender sender;
	int ret;

	if (page_sender_init(&sender, stream, wide, err))
		return -1;
	ret = page_sender_task(&sender, task, err) || page_sender_close(&sender, err) ? -1 : 0;
	*counts = sender.counts;
	page_sender_free(&sender);
	return ret;
}

#endif
