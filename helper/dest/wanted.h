/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages of one mm that still have to come from the source, and which of these were asked for.
 */
#ifndef MIGRATE_DEST_WANTED_H
#define MIGRATE_DEST_WANTED_H

#include <stddef.h>
#include "pages/page_set.h"

/**
 * struct wanted - addresses are those of the source. Not locked: the owner locks
 * @pages: still to come
 * @asked: pages of @pages that were requested over urgent
 * @requests: to be sent; wanted_requests() takes the list
 */
struct wanted {
	struct page_set pages, asked;
	struct run *requests;
	size_t nr_requests, cap_requests;
};

int wanted_init(struct wanted *wanted);	/* 0, or -1 with errno */
void wanted_destroy(struct wanted *wanted);

/** wanted_add() - pages that the source has to send; -1 as page_set_add() */
int wanted_add(struct wanted *wanted, uint64_t addr, uint64_t nr_pages, struct error *err);
/** wanted_remove() - pages that came, or are not to come any longer */
void wanted_remove(struct wanted *wanted, uint64_t addr, uint64_t nr_pages);
/** wanted_clear() - nothing is to come, and nothing was asked for */
void wanted_clear(struct wanted *wanted);
/** wanted_cost() - bytes of memory that wanting and asking for these pages would take */
uint64_t wanted_cost(const struct wanted *wanted, uint64_t addr, uint64_t nr_pages);

/** wanted_request() - ask for pages of the range that are wanted, but for those that were asked for before */
int wanted_request(struct wanted *wanted, uint64_t addr, uint64_t nr_pages, struct error *err);
/** wanted_requests() - all requests since the last call; @nr of them, to be freed by the caller */
struct run *wanted_requests(struct wanted *wanted, size_t *nr);

#endif
