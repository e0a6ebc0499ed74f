// SPDX-License-Identifier: GPL-2.0
#include "backend/run_list.h"
#include "pages/page_set.h"

#define RUN_PAGES_MAX	(1U << 30)

int run_list_flush(struct run_list *list, struct error *err)
{
	uint32_t nr = list->nr;

	list->nr = 0;
	return nr ? list->fn(list->ctx, list->runs, nr, err) : 0;
}

static bool extends(const struct splice_vm_run *last, uint64_t addr, uint32_t flags)
{
	return last->flags == flags && last->nr_pages < RUN_PAGES_MAX &&
	       last->addr + ((uint64_t)last->nr_pages << PAGE_SHIFT) == addr;
}

int run_list_add(struct run_list *list, uint64_t addr, uint32_t nr_pages, uint32_t flags,
		 struct error *err)
{
	if (list->nr && extends(&list->runs[list->nr - 1], addr, flags)) {
		list->runs[list->nr - 1].nr_pages += nr_pages;
		return 0;
	}
	if (list->nr == RUN_LIST_MAX && run_list_flush(list, err))
		return -1;
	list->runs[list->nr++] = (struct splice_vm_run){
		.addr = addr, .nr_pages = nr_pages, .flags = flags,
	};
	return 0;
}

uint32_t runs_take_below(const struct page_set *set, uint64_t *at, uint64_t end,
			 struct splice_vm_run *runs, uint32_t max_runs, uint64_t max_pages)
{
	uint64_t pages = 0;
	struct run run;
	uint32_t nr = 0;

	while (nr < max_runs && pages < max_pages &&
	       page_set_next(set, *at, end, max_pages, &run)) {
		runs[nr++] = (struct splice_vm_run){ .addr = run.addr, .nr_pages = run.nr_pages };
		pages += run.nr_pages;
		*at = run.addr + (run.nr_pages << PAGE_SHIFT);
	}
	return nr;
}

uint32_t runs_take(const struct page_set *set, uint64_t *at, struct splice_vm_run *runs,
		   uint32_t max_runs, uint64_t max_pages)
{
	return runs_take_below(set, at, USER_END, runs, max_runs, max_pages);
}
