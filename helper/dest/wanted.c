// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "dest/wanted.h"
#include "pages/sets.h"
#include "wire/stream.h"

void wanted_destroy(struct wanted *wanted)
{
	page_set_destroy(&wanted->pages);
	page_set_destroy(&wanted->asked);
	free(wanted->requests);
	wanted->requests = NULL;
	wanted->nr_requests = wanted->cap_requests = 0;
}

int wanted_add(struct wanted *wanted, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	return page_set_add(&wanted->pages, addr, nr_pages, err);
}

void wanted_remove(struct wanted *wanted, uint64_t addr, uint64_t nr_pages)
{
	page_set_remove(&wanted->pages, addr, nr_pages);
	page_set_remove(&wanted->asked, addr, nr_pages);
}

void wanted_clear(struct wanted *wanted)
{
	sets_clear(&wanted->pages);
	sets_clear(&wanted->asked);
}

uint64_t wanted_cost(const struct wanted *wanted, uint64_t addr, uint64_t nr_pages)
{
	return page_set_cost(&wanted->pages, addr, nr_pages) +
	       page_set_cost(&wanted->asked, addr, nr_pages);
}

static int put_request(struct wanted *wanted, const struct run *run, struct error *err)
{
	if (wanted->nr_requests == wanted->cap_requests) {
		size_t cap = wanted->cap_requests ? 2 * wanted->cap_requests : 64;
		struct run *requests = realloc(wanted->requests, cap * sizeof(*requests));

		if (!requests)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for a request");
		wanted->requests = requests;
		wanted->cap_requests = cap;
	}
	if (page_set_add(&wanted->asked, run->addr, run->nr_pages, err))
		return -1;
	wanted->requests[wanted->nr_requests++] = *run;
	return 0;
}

int wanted_request(struct wanted *wanted, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	uint64_t end = addr + nr_pages * PAGE_BYTES;
	struct run run;

	while (addr < end &&
	       sets_next_only(&wanted->pages, &wanted->asked, addr, end, FRAME_REQUEST_PAGES, &run)) {
		if (put_request(wanted, &run, err))
			return -1;
		addr = run_end(&run);
	}
	return 0;
}

struct run *wanted_requests(struct wanted *wanted, size_t *nr)
{
	struct run *requests = wanted->requests;

	*nr = wanted->nr_requests;
	wanted->requests = NULL;
	wanted->nr_requests = wanted->cap_requests = 0;
	return requests;
}
