/* SPDX-License-Identifier: GPL-2.0 */
/* The functions behind those of a test of spaces that is linked with --wrap. */
#ifndef MIGRATE_TESTS_REAL_SETS_H
#define MIGRATE_TESTS_REAL_SETS_H

#include "pages/space.h"
#include "pages/page_set.h"

bool __real_space_each_lacking(struct space *space, uint64_t origin, uint64_t nr_pages, space_fn fn, void *ctx);
int __real_page_set_add(struct page_set *set, uint64_t addr, uint64_t nr_pages, struct error *err);
bool __real_page_set_next(const struct page_set *set, uint64_t addr, uint64_t end, uint64_t max_pages,
			  struct run *run);

#endif
