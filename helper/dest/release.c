// SPDX-License-Identifier: GPL-2.0
/*
 * Pages leave the mirror when no address space needs them any longer.
 */
#include "dest/mm.h"
#include "pages/sets.h"

static bool stop_at_first(struct space *space, uint64_t addr, uint64_t origin, uint64_t nr_pages,
		      void *ctx)
{
	return false;
}

bool mm_awaits_fork(const struct mm *mm, uint64_t origin, uint64_t nr_pages)
{
	for (size_t i = 0; i < mm->nr_spaces; i++)
		if (pieces_has_origin(&mm->spaces[i]->past, origin,
				      origin + nr_pages * PAGE_BYTES))
			return true;
	return false;
}

static bool needed(struct mm *mm, uint64_t origin, uint64_t nr_pages)
{
	for (size_t i = 0; i < mm->nr_spaces; i++)
		if (!mm->spaces[i]->gone &&
		    !space_each_lacking(mm->spaces[i], origin, nr_pages, stop_at_first, NULL))
			return true;
	return mm_awaits_fork(mm, origin, nr_pages);
}

static void give_back(struct mm *mm, uint64_t origin, uint64_t nr_pages)
{
	uint64_t end = origin + nr_pages * PAGE_BYTES, addr = origin;
	struct run run;

	page_set_remove(&mm->wanted, origin, nr_pages);
	page_set_remove(&mm->asked, origin, nr_pages);
	while (addr < end && page_set_next(&mm->mirror.have, addr, end, 0, &run)) {
		mirror_punch(&mm->mirror, run.addr, run.nr_pages);
		addr = run_end(&run);
	}
}

void mm_release(struct mm *mm, uint64_t origin, uint64_t nr_pages)
{
	uint64_t start = 0;

	if (!needed(mm, origin, nr_pages)) {
		give_back(mm, origin, nr_pages);
		return;
	}
	for (uint64_t i = 0; i <= nr_pages; i++) {
		if (i < nr_pages && !needed(mm, origin + i * PAGE_BYTES, 1))
			continue;
		if (i > start)
			give_back(mm, origin + start * PAGE_BYTES, i - start);
		start = i + 1;
	}
}
