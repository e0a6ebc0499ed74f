/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel queues an event after it has released the lock under which the mappings changed. So
 * the order of events of several threads may differ from the order of their changes. But the kernel
 * counts a change under that lock, and every ioctl on the userfaultfd says EAGAIN until the event
 * of each counted change was read. An epoch begins with an event. It ends when an ioctl does not
 * say EAGAIN: then the events of all older changes were read. The caller holds the lock of the owner of the set.
 */
#ifndef MIGRATE_PAGES_EPOCH_H
#define MIGRATE_PAGES_EPOCH_H

#include "pages/space.h"

/**
 * epoch_covers() - a REMAP was read: keep what @space lacks where it leads to
 *
 * Linux 6.1 and 6.12 tell the old length of an mremap() that shrinks what it moves: what is behind its new place stays, and
 * comes back to todo when the UNMAP of the rest is read.
 */
int epoch_covers(struct space *space, uint64_t from, uint64_t to, uint64_t bytes, struct error *err);

/** epoch_moved_end() - where the new place ends at the latest: the kernel takes no places that overlap */
uint64_t epoch_moved_end(uint64_t from, uint64_t to, uint64_t bytes);

/** epoch_moved() - act on REMAP, after epoch_covers() and before space_move() */
int epoch_moved(struct space_set *set, struct space *space, uint64_t from, uint64_t to,
		uint64_t bytes, struct error *err);

/**
 * epoch_unmapped() - act on UNMAP of [@addr, @end)
 *
 * REMAP may have moved a page to this range after the unmapping. Such a page of this epoch stays in
 * todo until the kernel has said whether it is mapped. All others leave todo.
 */
int epoch_unmapped(struct space_set *set, struct space *space, uint64_t addr, uint64_t end,
		   struct error *err);

/**
 * epoch_forked() - act on FORK: add to @child's todo the pages that @parent lost in this epoch
 *
 * The fork may have come before or after any other change of this epoch. So the child's todo begins
 * with every page that the child may lack. Pages that the kernel says are not mapped in the child
 * leave it later.
 */
int epoch_forked(struct space_set *set, struct space *parent, struct space *child,
		 struct error *err);

/** epoch_try_end() - end the epoch of @space, or set set->retry when the kernel says EAGAIN */
void epoch_try_end(struct space_set *set, struct space *space);

/** epoch_end() - the events of all changes were read */
void epoch_end(struct space_set *set, struct space *space);

/** epoch_drop() - the process of @space has ended, and no further event comes */
void epoch_drop(struct space_set *set, struct space *space);

#endif
