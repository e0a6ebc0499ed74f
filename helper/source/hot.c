// SPDX-License-Identifier: GPL-2.0
#include "pages/sets.h"
#include "source/hot.h"

void hot_destroy(struct hot *hot)
{
	for (unsigned int i = 0; i < HOT_ROUNDS; i++)
		page_set_destroy(&hot->written[i]);
	page_set_destroy(&hot->pages);
}

void hot_begin(struct hot *hot)
{
	hot->at = (hot->at + 1) % HOT_ROUNDS;
	sets_clear(&hot->written[hot->at]);
	sets_clear(&hot->pages);
}

int hot_add(struct hot *hot, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	return page_set_add(&hot->written[hot->at], addr, nr_pages, err);
}

int hot_find(struct hot *hot, struct error *err)
{
	uint64_t at = 0, in;
	struct run both, all;

	for (; sets_next_both(&hot->written[0], &hot->written[1], at, USER_END, 0, &both); at = run_end(&both))
		for (in = both.addr; page_set_next(&hot->written[2], in, run_end(&both), 0, &all);
		     in = run_end(&all))
			if (page_set_add(&hot->pages, all.addr, all.nr_pages, err))
				return -1;
	return 0;
}
