/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of a userfaultfd: faults, and changes that the task made to its mappings. mm.lock is held.
 */
#ifndef MIGRATE_DEST_EVENTS_H
#define MIGRATE_DEST_EVENTS_H

#include "dest/mm.h"

/** events_read() - read all events of @space and act on each */
int events_read(struct mm *mm, struct space *space, struct error *err);
/** events_retry() - look again at faults that had to wait */
int events_retry(struct mm *mm, struct error *err);

#endif
