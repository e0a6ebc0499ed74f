/* SPDX-License-Identifier: GPL-2.0 */
/* What precopy.c knows of the program between two rounds. */
#ifndef MIGRATE_SOURCE_PRECOPY_SCAN_H
#define MIGRATE_SOURCE_PRECOPY_SCAN_H

#include "source/precopy_state.h"

/** precopy_scan_next() - which processes there are, what they have written, and what they have in common */
int precopy_scan_next(struct precopy *pre, struct error *err);

/** precopy_take_listed() - the last list has said that the rounds end, and nothing was protected for it */
int precopy_take_listed(struct precopy *pre, struct error *err);

#endif
