/* SPDX-License-Identifier: GPL-2.0 */
/* Collects pages into runs for a callback. */
#ifndef MIGRATE_BACKEND_RUN_LIST_H
#define MIGRATE_BACKEND_RUN_LIST_H

#include "backend/backend.h"
#include "pages/page_set.h"

#define RUN_LIST_MAX	512

/** struct run_list - runs for which @fn was not called yet */
struct run_list {
	struct splice_vm_run runs[RUN_LIST_MAX];
	uint32_t nr;
	backend_runs_fn fn;
	void *ctx;
};

/** run_list_add() - add @nr_pages pages; a full list is flushed */
int run_list_add(struct run_list *list, uint64_t addr, uint32_t nr_pages, uint32_t flags,
		 struct error *err);
/** run_list_flush() - call @fn with the runs in the list */
int run_list_flush(struct run_list *list, struct error *err);

/**
 * runs_take() - list up to @max_runs runs of @set from *@at on
 * @max_pages: longest run; the sum stays below @max_pages plus one run
 *
 * Return: number of runs; *@at moves behind the last of them
 */
uint32_t runs_take(const struct page_set *set, uint64_t *at, struct splice_vm_run *runs,
		   uint32_t max_runs, uint64_t max_pages);

/** runs_take_below() - runs_take() of the pages below @end */
uint32_t runs_take_below(const struct page_set *set, uint64_t *at, uint64_t end,
			 struct splice_vm_run *runs, uint32_t max_runs, uint64_t max_pages);

#endif
