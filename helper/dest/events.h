/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of a userfaultfd: page faults, and changes of the task's mappings. The caller holds
 * mm.lock.
 */
#ifndef MIGRATE_DEST_EVENTS_H
#define MIGRATE_DEST_EVENTS_H

#include "dest/mm.h"

/** events_mm() - the mm of a space of the destination */
struct mm *events_mm(const struct space *space);
/** events_read() - read all events of @space and act on each */
int events_read(struct mm *mm, struct space *space, struct error *err);
/** events_retry() - look again at the unresolved faults of all spaces */
int events_retry(struct mm *mm, struct error *err);

#endif
