/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The restored address spaces of one task: its own, and one of each child that it has forked since. Each
 * may lack pages of the task's memory at the source.
 *
 * The owner has one lock, if it has threads at all, and holds it in every call. The rule that keeps memory
 * right: *events of a userfaultfd are read and acted upon under the same hold of the lock as "is the page
 * in todo" and UFFDIO_COPY*.
 */
#ifndef MIGRATE_PAGES_SPACE_SET_H
#define MIGRATE_PAGES_SPACE_SET_H

#include "pages/space.h"

/** space_set_add() - add @space, which @set then owns; after a failure nobody has it */
int space_set_add(struct space_set *set, struct space *space, struct error *err);

/** space_set_awaits_fork() - such a page may come back to a todo, by the FORK of a child or by an UNMAP: see epoch.h */
bool space_set_awaits_fork(const struct space_set *set, uint64_t origin, uint64_t nr_pages);

/** space_set_needs() - whether a space lacks such a page, or a child of one may */
bool space_set_needs(const struct space_set *set, uint64_t origin, uint64_t nr_pages);

/** space_set_empty_todo() - take all pages out of @todo of @space, whose process has ended */
void space_set_empty_todo(struct space_set *set, struct space *space);

void space_set_free(struct space_set *set);

#endif
