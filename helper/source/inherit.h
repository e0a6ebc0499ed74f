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
 * What either of them writes behind its scan is dirty in the next round, and goes as a page.
 *
 * A page of the parent gets the frame of the child's page by KSM, and by an mremap that brings a page back.
 * Between steps 2 and 3 this is no matter. Before step 2 the parent may have written the page, KSM merged it with
 * the child's equal one, and both have the same frame in step 2. The write and the mremap are before step 3, whose
 * scan tells them: the page is dirty, and is put off.
 *
 * Where one look at all processes, while they stand, is what the scans tell (backend_ops.frames), the parent's
 * scan tells nothing of what the parent does behind the look, and the page maps of step 2 would be too new. There
 * step 2 compares the frames that the looks have recorded, after all scans: nobody wrote between the first look
 * and the last one, so that all of them are one moment. KSM that merges two pages in this moment has found
 * both equal. What either of them does behind the looks is told by the next scan.
 *
 * The page maps of two processes are read one after the other, and the kernel moves pages (compaction). A frame
 * that the one has left when the other one gets it would look shared: so the first page map is read again. The
 * frames of the looks are not read again; where there are looks, the comparison of all memory is always made.
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
 * @found: something was shared once
 * @apart: nothing was shared at the first look at all that there is: this process has called exec, and its
 *	page maps are not looked at again
 */
struct inherit {
	uint32_t parent;
	bool found, apart;
	struct page_set shared, later;
};

void inherit_destroy(struct inherit *inherit);

/**
 * inherit_find() - which dirty pages of @mm are the same page frames in @parent
 * @parent: NULL: it has gone
 *
 * With backend_ops.frames after all scans, else between the scan of @mm and that of @parent.
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
