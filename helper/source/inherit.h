/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that a process has in common with its parent since fork, and that travel once: the
 * destination copies the parent's page. In each round, in this order:
 *
 *	1. the scan of the process: what it writes from now on is told by its next scan;
 *	2. inherit_find(): at this moment both map the same page frame, so both have the same content;
 *	3. the scan of the parent: what the parent has written until now is dirty;
 *	4. inherit_plan(): a page that the destination has of the parent, and that is not dirty there, was
 *	   not written since it was sent. It is what the process had in step 2, and COPY may name it.
 *	   A page that is dirty there goes out in this round, and is looked at again behind the next scan;
 *	5. COPY, in the round. The parent's own pages of the round are others.
 *
 * Where one look at all processes, while they stand, is what the scans tell, the parent may write between
 * it and step 2. Then the parent has a page frame of its own in step 2, unless KSM has merged it with the
 * child's, or mremap has brought back the child's: the comparison of all memory, which is always made where
 * there is such a look, finds these.
 *
 * What either of them writes behind its scan is dirty in the next round, and goes as a page.
 */
#ifndef MIGRATE_SOURCE_INHERIT_H
#define MIGRATE_SOURCE_INHERIT_H

#include <stdbool.h>
#include "source/sender.h"

/**
 * struct inherit - of one process. Zeroed has no parent; the main thread uses it
 * @parent: object of the parent at the time at which the process joined; 0: not in the tree
 * @shared: pages that the parent has too; from inherit_plan() on those that COPY will name
 * @later: pages whose content the parent sends in this round
 */
struct inherit {
	uint32_t parent;
	struct page_set shared, later;
};

int inherit_init(struct inherit *inherit, uint32_t parent, struct error *err);
void inherit_destroy(struct inherit *inherit);

/**
 * inherit_find() - which dirty pages of @mm are the same page frames in @parent
 * @parent: NULL: it has gone
 *
 * Nothing is shared of a process that ends meanwhile. Return: 0, or -1 when memory is short
 */
int inherit_find(struct inherit *inherit, const struct source_mm *mm,
		 const struct source_mm *parent, struct error *err);
/** inherit_plan() - all scans have been: what COPY may name in this round, and what may follow */
int inherit_plan(struct inherit *inherit, const struct source_mm *parent, struct error *err);
/** inherit_send() - send COPY; the pages of both sets are not dirty any more in this round */
int inherit_send(const struct inherit *inherit, struct source_mm *mm, struct sender *sender,
		 struct error *err);
/** inherit_end_round() - the destination has the round: the pages that were put off are dirty again */
int inherit_end_round(struct inherit *inherit, struct source_mm *mm, struct error *err);

#endif
