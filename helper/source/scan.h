/* SPDX-License-Identifier: GPL-2.0 */
/* The end of an epoch of one address space: which pages were written, which are gone. */
#ifndef MIGRATE_SOURCE_SCAN_H
#define MIGRATE_SOURCE_SCAN_H

#include <stdbool.h>
#include "source/sender.h"

/**
 * scan_look() - while the program stands, where the backend needs that: the epoch that scan_mm() tells ends
 * @last: the program does not run again
 */
void scan_look(struct source_mm *mm, bool last);

/**
 * scan_mm() - end an epoch: pages that were written are added to mm.dirty
 * @sender: sends DROPPED for pages that are gone, unless the destination has nothing of @mm yet
 */
int scan_mm(struct source_mm *mm, struct sender *sender, struct error *err);

#endif
