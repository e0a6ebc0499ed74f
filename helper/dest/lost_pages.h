/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that neither end has any more: after COMMIT the source cannot read them. No process may read
 * zeros, or older content, in their place. What becomes of the program:
 *
 * - LOST: a page went bad at the source (the memory failed, a swap device did). A process that touched it there
 *   would have got SIGBUS, and so does one that touches it here (UFFDIO_POISON). Nothing else changes: a
 *   program that never touches the page, or that handles the signal, goes on.
 * - ENDED: the process was killed at the source, and took with it all that had not come. That is no hole
 *   of one page but any part of its memory, and system calls would say EFAULT where they meet it: so the
 *   process here gets SIGKILL. Its parent sees the end that it would have seen at the source. A process
 *   of which all had come when it was killed lives on: the kill met a copy.
 * - All other processes of the tree are whole, and go on. Were the tree killed for one of them, one kill at
 *   the source would end what has moved; were it held, it would stand for ever, since nobody can
 *   bring the memory.
 *
 * Linux before 6.6 has no UFFDIO_POISON: there a process that lacks a lost page gets SIGKILL too. A child that
 * it has forked here has no pid that this helper knows; it waits where it touches the page, and the
 * keeper and this helper stay, in the background, for as long as the child lives.
 *
 * Each loss is named at both ends (session/lost.h), with an exit status of its own.
 */
#ifndef MIGRATE_DEST_LOST_PAGES_H
#define MIGRATE_DEST_LOST_PAGES_H

#include "dest/mm.h"

/* These take mm.lock. */

/**
 * lost_pages_take() - LOST: pages of these runs that still lack are lost
 * @urgent: it came over the urgent connection: before PUSHED it says nothing, since pages that were sent
 *	before may be on their way over the other one
 * @nr_pages: how many
 */
int lost_pages_take(struct mm *mm, bool urgent, const struct splice_vm_run *runs, uint32_t nr_runs,
		    uint64_t *nr_pages, struct error *err);
/**
 * lost_pages_end() - ENDED: all pages that still lack are lost, and the process ends if there are any
 *
 * Over urgent before PUSHED it is noted: the caller calls again, with @urgent false, at PUSHED of an mm
 * with @end_said.
 */
int lost_pages_end(struct mm *mm, bool urgent, uint64_t *nr_pages, struct error *err);

/* The caller holds mm.lock. */

/** lost_pages_can_fill() - @space gets poison for lost pages, and not SIGKILL */
bool lost_pages_can_fill(const struct mm *mm, const struct space *space);
/**
 * lost_pages_fill() - poison up to @nr_pages at @addr, of which the first is lost
 * @done: how many
 * Return: INSTALL_AGAIN unless lost_pages_can_fill()
 */
enum install lost_pages_fill(struct mm *mm, struct space *space, uint64_t addr, uint64_t nr_pages,
			     uint64_t *done);
/** lost_pages_are_all() - @space lacks only pages that are lost, and that cannot be poisoned */
bool lost_pages_are_all(const struct mm *mm, struct space *space);
/** lost_pages_must_end() - the process of the first space lives, and is to be killed */
bool lost_pages_must_end(const struct mm *mm);

#endif
