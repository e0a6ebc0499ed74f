/* SPDX-License-Identifier: GPL-2.0 */
/* The end of an epoch of one address space: which pages were written, which are gone. */
#ifndef MIGRATE_SOURCE_SCAN_H
#define MIGRATE_SOURCE_SCAN_H

#include <stdbool.h>
#include "source/sender.h"
#include "source/tree.h"

/**
 * scan_look() - while the program stands, where the backend needs that: the epoch that scan_mm() tells ends
 * @last: the program does not run again
 */
void scan_look(struct source_mm *mm, bool last);

/** struct scan_sum - what scans found, in pages; @held: a device may still write to them */
struct scan_sum {
	uint64_t dirty, held, dropped;
};

/**
 * scan_mm() - end an epoch: pages that were written are added to mm.dirty
 * @sender: sends DROPPED for pages that are gone, unless the destination has nothing of @mm yet
 */
int scan_mm(struct source_mm *mm, struct sender *sender, struct error *err);

/**
 * scan_tree() - scan_mm() of each address space of @tree for which @which is true, while the program stands
 * @forgives: CRIU has not looked at the program yet. A process whose end began before the program stood, and which
 *	has no memory any more, is no failure: see tree_forgive()
 *
 * They do not depend on each other: the scans are spread over the CPUs. What they found is sent in the tree's order.
 */
int scan_tree(const struct tree *tree, bool (*which)(const struct source_mm *mm), bool forgives,
	      struct sender *sender, struct error *err);

/** scan_list() - put into mm.dirty about what scan_mm() would, while the epoch goes on: backend_ops.list */
int scan_list(struct source_mm *mm, struct error *err);

/**
 * scan_part() - scan_mm() of a part: what this round sends of the part is in mm.dirty, the rest in mm.later
 * @sum: what was found is added
 */
int scan_part(struct source_mm *mm, struct sender *sender, uint64_t start, uint64_t end,
	      struct scan_sum *sum, struct error *err);

/** scan_say() - tell what the backend said, before it is narrowed to mappings whose pages are sent */
void scan_say(const struct source_mm *mm, const struct scan_sum *sum);

#endif
