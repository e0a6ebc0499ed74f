// SPDX-License-Identifier: GPL-2.0
/*
 * Pages leave the mirror when no address space needs them any longer.
 */
#include "dest/memory.h"
#include "pages/sets.h"

static bool stop_at_first(struct space *space, uint64_t addr, uint64_t origin, uint64_t nr_pages,
		      void *ctx)
{
	return false;
}

bool memory_awaits_fork(const struct memory *mem, uint64_t origin, uint64_t nr_pages)
{
	for (size_t i = 0; i < mem->nr_spaces; i++)
		if (pieces_has_origin(&mem->spaces[i]->past, origin,
				      origin + nr_pages * PAGE_BYTES))
			return true;
	return false;
}

static bool needed(struct memory *mem, uint64_t origin, uint64_t nr_pages)
{
	for (size_t i = 0; i < mem->nr_spaces; i++)
		if (!mem->spaces[i]->gone &&
		    !space_each_lacking(mem->spaces[i], origin, nr_pages, stop_at_first, NULL))
			return true;
	return memory_awaits_fork(mem, origin, nr_pages);
}

static void give_back(struct memory *mem, uint64_t origin, uint64_t nr_pages)
{
	uint64_t end = origin + nr_pages * PAGE_BYTES, addr = origin;
	struct run run;

	page_set_remove(&mem->wanted, origin, nr_pages);
	page_set_remove(&mem->asked, origin, nr_pages);
	while (addr < end && page_set_next(&mem->store.have, addr, end, 0, &run)) {
		store_punch(&mem->store, run.addr, run.nr_pages);
		addr = run_end(&run);
	}
}

void memory_release(struct memory *mem, uint64_t origin, uint64_t nr_pages)
{
	uint64_t start = 0;

	if (!needed(mem, origin, nr_pages)) {
		give_back(mem, origin, nr_pages);
		return;
	}
	for (uint64_t i = 0; i <= nr_pages; i++) {
		if (i < nr_pages && !needed(mem, origin + i * PAGE_BYTES, 1))
			continue;
		if (i > start)
			give_back(mem, origin + start * PAGE_BYTES, i - start);
		start = i + 1;
	}
}
