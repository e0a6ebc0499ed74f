/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A round of one address space by parts. The round begins with a list of what was written, and nothing is
 * protected. Then each part is protected and taken, and its pages are sent right behind that. A page that
 * the program writes before its part is taken costs the program no fault, and goes once. What is written
 * behind that is in the next list.
 *
 * Why nothing is lost: backend/uffd_wp.c, for each page that a part tells. The pages that this round
 * cannot send, of mappings and of memory that came behind the list, are put off (source_mm.later): they
 * are dirty from the end of the round on.
 *
 * The list decides when the rounds end. Then all is taken once more at once, so that the last scan, for
 * which the program stands, finds little.
 *
 * Processes that may have pages in common with a parent or a child are scanned at once: source/inherit.h
 * needs one moment for each of them, and must know of all that the parent has written until then.
 */
#ifndef MIGRATE_SOURCE_PARTS_H
#define MIGRATE_SOURCE_PARTS_H

#include "source/scan.h"
#include "source/tree.h"

/**
 * struct parts - where a round is
 * @start, @end: addresses of the part that was taken last; @end at last: USER_END
 * @sum: what all parts found
 */
struct parts {
	struct source_mm *mm;
	uint64_t start, end;
	struct scan_sum sum;
};

/** parts_is_alone() - the process has pages in common with no parent and no child, as far as rounds know */
bool parts_is_alone(const struct tree *tree, const struct source_process *process);

/** parts_can() - the backend can take parts, and the process has pages in common with nobody */
bool parts_can(const struct tree *tree, const struct source_process *process);

static inline void parts_begin(struct parts *parts, struct source_mm *mm)
{
	*parts = (struct parts){ .mm = mm };
}

/** parts_next() - take the next part: what is to be sent of it is dirty; the last part ends at USER_END */
int parts_next(struct parts *parts, struct sender *sender, struct error *err);

#endif
