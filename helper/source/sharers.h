/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From FINAL on: a page that several processes of the program have since fork is sent once. Before a
 * process's pages, ALSO names the other processes that have the same pages at the same addresses and of which the
 * pages are unsent. The destination gives the pages to all of them as they come (dest/also.h): to each out of
 * the same bytes, and never out of the memory of a process, which runs there and may have written.
 *
 * Why that loses nothing:
 *
 * - The program stands. Two processes that map the same page frame have the same content, at whatever
 *   moment that is seen, and keep it.
 * - Two page maps are read one after the other, and the kernel moves pages meanwhile (compaction): the frame
 *   that the one has left may be the other's a moment later. The first page map is read again: its page would
 *   have to come back to the same frame. Pages that the kernel merges (KSM) are equal.
 * - A page that ALSO names is not sent again. If the page does not come all the same (its owner was killed
 *   here), the destination lacks the page when it gets PUSHED of the other process, and asks for it: the answer is
 *   read from the memory of that process.
 * - Two threads send, the push and the answers to requests. Both may name a page, or one sends it while the
 *   other one names it: then the page comes twice, and the destination drops the second one.
 */
#ifndef MIGRATE_SOURCE_SHARERS_H
#define MIGRATE_SOURCE_SHARERS_H

#include "source/sender.h"
#include "source/tree.h"

/** sharers_open() - the program is frozen, and tree.fixed not set yet: the page maps, if there are several processes */
void sharers_open(const struct tree *tree);

/**
 * sharers_send() - send ALSO for the pages of @runs, which @mm sends next, and take them out of what is unsent
 *	of the others
 *
 * For any thread. Return: -1 with @err: the connection is lost. Without memory fewer are named
 */
int sharers_send(const struct tree *tree, struct sender *sender, const struct source_mm *mm,
		 const struct splice_vm_run *runs, uint32_t nr_runs, struct error *err);

/**
 * sharers_copy() - send COPY for unsent pages of @mm that are those of @parent, which the destination has
 *
 * Before FINAL, of the frozen program: nothing runs at the destination, so that its copy of the parent's page is the
 * page. For the main thread.
 */
int sharers_copy(struct sender *sender, const struct source_mm *parent, struct source_mm *mm,
		 struct error *err);

#endif
