/* SPDX-License-Identifier: GPL-2.0 */
/* Chains of images whose files are all there. */
#ifndef MIGRATE_TESTS_CHAIN_KIT_H
#define MIGRATE_TESTS_CHAIN_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include "services/page_chain.h"

/* Return: 0; -1 with @err when the chain is damaged. The caller frees it in both cases */
static inline int chain_open_whole(struct page_chain *chain, int dir_fd, uint64_t target, struct error *err)
{
	assert_int_equal(page_chain_open(chain, dir_fd, target, err), 1);
	return page_chain_climb(chain, err) || page_chain_check_files(chain, err) ? -1 : 0;
}

/* Return: whether the chain has the page at @addr, and then @buf with it */
static inline bool chain_read_page(int dir_fd, uint64_t target, uint64_t addr, void *buf)
{
	struct page_place place;
	struct page_chain chain;
	struct error err = { 0 };
	uint64_t nr_pages = 1;
	bool has;

	assert_int_equal(chain_open_whole(&chain, dir_fd, target, &err), 0);
	has = page_chain_find(&chain, addr, &nr_pages, &place);
	assert_int_equal(nr_pages, 1);
	if (has)
		assert_int_equal(page_chain_read(&chain, &place, &nr_pages, buf, &err), 1);
	page_chain_free(&chain);
	return has;
}

#endif
