/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of a userfaultfd: page faults, and changes of the task's mappings. The caller holds the lock of the
 * owner of the set.
 */
#ifndef MIGRATE_PAGES_SPACE_EVENTS_H
#define MIGRATE_PAGES_SPACE_EVENTS_H

#include "pages/space_set.h"

/** space_events_read() - read all events of @space and act on each */
int space_events_read(struct space_set *set, struct space *space, struct error *err);
/** space_events_retry() - look again at the unresolved faults of all spaces */
int space_events_retry(struct space_set *set, struct error *err);

#endif
