/* SPDX-License-Identifier: GPL-2.0 */
/* What a pre-dump tells its user: each process as it is done, and the result. */
#ifndef MIGRATE_SERVICES_PREDUMP_RESULT_H
#define MIGRATE_SERVICES_PREDUMP_RESULT_H

#include "services/predump_task.h"

/**
 * struct predump_figures - sums of all processes
 * @chains: the next dump can build on these images
 * @direct: pages were written past the page cache
 * @images: processes that have images
 * @pages: pages that were written, @by_reference of them without a copy
 * @same: pages that are left to the parent
 */
struct predump_figures {
	const char *images_dir;
	bool chains, direct;
	uint64_t images, pages, by_reference, same, scanned, vanished, unreadable, ns;
};

/** predump_result_sum() - add up what the processes have */
void predump_result_sum(struct predump_figures *figures, const struct predump_task *tasks, size_t nr);

/** predump_result_task() - tell that a process is done, or why it has no images */
void predump_result_task(const struct predump_task *task);

/** predump_result_tell() - tell the result; @err: of the whole */
void predump_result_tell(const struct predump_figures *figures, const struct predump_task *tasks, size_t nr,
			 const struct error *err);

#endif
