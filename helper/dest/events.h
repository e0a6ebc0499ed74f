/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of a userfaultfd: page faults, and changes of the task's mappings. The caller holds
 * mm.lock.
 */
#ifndef MIGRATE_DEST_EVENTS_H
#define MIGRATE_DEST_EVENTS_H

#include "dest/mm.h"

/** events_read() - read all events of @space and act on each */
int events_read(struct mm *mm, struct space *space, struct error *err);
/** events_retry() - look again at the unresolved faults of all spaces */
int events_retry(struct mm *mm, struct error *err);

#endif
