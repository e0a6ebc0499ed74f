/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages of one mm that still have to come from the source, and the requests for them.
 */
#ifndef MIGRATE_DEST_WANTED_H
#define MIGRATE_DEST_WANTED_H

#include <stddef.h>
#include "pages/page_set.h"

/**
 * struct wanted - wanted pages, by their address at the source; the owner locks
 * @pages: pages that still have to come
 * @asked: pages of @pages that were requested over urgent
 * @requests: requests that were not sent yet; wanted_requests() takes the list
 */
struct wanted {
	struct page_set pages, asked;
	struct run *requests;
	size_t nr_requests, cap_requests;
};

void wanted_destroy(struct wanted *wanted);

/** wanted_add() - add pages that the source has to send; -1 as page_set_add() */
int wanted_add(struct wanted *wanted, uint64_t addr, uint64_t nr_pages, struct error *err);
/** wanted_remove() - remove pages that came, or need not come any longer */
void wanted_remove(struct wanted *wanted, uint64_t addr, uint64_t nr_pages);
/** wanted_clear() - remove all pages and requests */
void wanted_clear(struct wanted *wanted);
/** wanted_cost() - bytes of memory that these pages would take in @pages and @asked */
uint64_t wanted_cost(const struct wanted *wanted, uint64_t addr, uint64_t nr_pages);

/** wanted_request() - request the wanted pages of the range that were not requested before */
int wanted_request(struct wanted *wanted, uint64_t addr, uint64_t nr_pages, struct error *err);
/** wanted_requests() - take all @nr requests since the last call; the caller frees the list */
struct run *wanted_requests(struct wanted *wanted, size_t *nr);

#endif
