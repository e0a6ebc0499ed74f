/* SPDX-License-Identifier: GPL-2.0 */
/* The end of an epoch of one address space: which pages were written, which are gone. */
#ifndef MIGRATE_SOURCE_SCAN_H
#define MIGRATE_SOURCE_SCAN_H

#include <stdbool.h>
#include "source/sender.h"

/**
 * scan_mm() - end an epoch: pages that were written are added to mm.dirty
 * @sender: tells the destination at once which pages are gone (DROPPED)
 * @stands: the program stands already, and is not to be frozen for it
 */
int scan_mm(struct source_mm *mm, struct sender *sender, bool stands, struct error *err);

#endif
