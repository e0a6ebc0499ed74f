// SPDX-License-Identifier: GPL-2.0
#include "pages/sets.h"

/* Longest run of one step, so that a huge run is not searched again for each small hole. */
#define STEP_PAGES	4096

bool sets_next_both(const struct page_set *a, const struct page_set *b, uint64_t addr,
		    uint64_t end, uint64_t max_pages, struct run *run)
{
	uint64_t step = max_pages && max_pages < STEP_PAGES ? max_pages : STEP_PAGES;
	struct run in_a;

	while (page_set_next(a, addr, end, step, &in_a)) {
		if (page_set_next(b, in_a.addr, run_end(&in_a), step, run))
			return true;
		addr = run_end(&in_a);
	}
	return false;
}

bool sets_next_only(const struct page_set *a, const struct page_set *b, uint64_t addr,
		    uint64_t end, uint64_t max_pages, struct run *run)
{
	uint64_t step = max_pages && max_pages < STEP_PAGES ? max_pages : STEP_PAGES;
	struct run in_a, in_b;

	while (page_set_next(a, addr, end, step, &in_a)) {
		if (!page_set_next(b, in_a.addr, run_end(&in_a), 0, &in_b)) {
			*run = in_a;
			return true;
		}
		if (in_b.addr > in_a.addr) {
			run->addr = in_a.addr;
			run->nr_pages = (in_b.addr - in_a.addr) / PAGE_BYTES;
			return true;
		}
		addr = run_end(&in_b);
	}
	return false;
}

int sets_copy(struct page_set *to, const struct page_set *from, struct error *err)
{
	uint64_t addr = 0;
	struct run run;

	while (page_set_next(from, addr, USER_END, 0, &run)) {
		if (page_set_add(to, run.addr, run.nr_pages, err))
			return -1;
		addr = run_end(&run);
	}
	return 0;
}

void sets_clear(struct page_set *set)
{
	uint64_t addr = 0;
	struct run run;

	while (page_set_next(set, addr, USER_END, 0, &run)) {
		page_set_remove(set, run.addr, run.nr_pages);
		addr = run_end(&run);
	}
}
