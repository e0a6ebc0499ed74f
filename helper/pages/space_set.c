// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "pages/epoch.h"
#include "pages/sets.h"
#include "pages/space_set.h"

int space_set_add(struct space_set *set, struct space *space, struct error *err)
{
	struct space **list = realloc(set->list, (set->nr + 1) * sizeof(*list));

	if (!list) {
		space_free(space);
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for an address space");
	}
	set->list = list;
	set->list[set->nr++] = space;
	space->set = set;
	return 0;
}

static bool stop_at_first(struct space *space, uint64_t addr, uint64_t origin, uint64_t nr_pages,
			  void *ctx)
{
	return false;
}

bool space_set_awaits_fork(const struct space_set *set, uint64_t origin, uint64_t nr_pages)
{
	uint64_t end = origin + nr_pages * PAGE_BYTES;

	for (size_t i = 0; i < set->nr; i++)
		if (pieces_has_origin(&set->list[i]->past, origin, end) ||
		    pieces_has_origin(&set->list[i]->covered, origin, end))
			return true;
	return false;
}

bool space_set_needs(const struct space_set *set, uint64_t origin, uint64_t nr_pages)
{
	for (size_t i = 0; i < set->nr; i++)
		if (!set->list[i]->gone &&
		    !space_each_lacking(set->list[i], origin, nr_pages, stop_at_first, NULL))
			return true;
	return space_set_awaits_fork(set, origin, nr_pages);
}

void space_set_empty_todo(struct space_set *set, struct space *space)
{
	uint64_t addr = 0;
	struct run run;

	epoch_drop(set, space);
	while (page_set_next(&space->todo, addr, USER_END, 0, &run)) {
		uint64_t origin = space_origin(space, run.addr, &run.nr_pages);

		page_set_remove(&space->todo, run.addr, run.nr_pages);
		set->ops->release(set, origin, run.nr_pages);
		addr = run_end(&run);
	}
	space->nr_waiting = 0;
}

void space_set_free(struct space_set *set)
{
	for (size_t i = 0; i < set->nr; i++)
		space_free(set->list[i]);
	free(set->list);
	set->list = NULL;
	set->nr = 0;
}
