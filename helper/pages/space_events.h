/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of a userfaultfd: page faults, and changes of the task's mappings. The caller holds the lock of the
 * owner of the set.
 */
#ifndef MIGRATE_PAGES_SPACE_EVENTS_H
#define MIGRATE_PAGES_SPACE_EVENTS_H

#include "pages/journal.h"
#include "pages/space_set.h"

/** space_events_read() - read all events of @space and act on each */
int space_events_read(struct space_set *set, struct space *space, struct error *err);
/** space_events_retry() - look again at the unresolved faults of all spaces */
int space_events_retry(struct space_set *set, struct error *err);

/**
 * space_replay() - what a journal's @entry says has become of @space
 * @child_uffd: of the child, when the entry is a FORK; -1: the child has ended
 */
int space_replay(struct space *space, const struct journal_entry *entry, int child_uffd, struct error *err);

/** space_act() - act on an event that another process has read */
int space_act(struct space *space, const struct uffd_msg *msg, struct error *err);

/** space_wake_all() - each thread that waits for a page looks again: who read its fault is dead */
void space_wake_all(const struct space *space);

#endif
