/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel queues an event after it has let go of the lock under which the mappings changed, so
 * events of several threads may be read in another order than their changes had. But the kernel
 * counts a change under that lock, and every ioctl on the userfaultfd says EAGAIN until the event
 * of each counted change was read. An epoch begins with an event, and ends when an ioctl does not
 * say EAGAIN: then all events of older changes were read. All of this under mm.lock.
 */
#ifndef MIGRATE_DEST_EPOCH_H
#define MIGRATE_DEST_EPOCH_H

#include "dest/mm.h"

/** epoch_moved() - REMAP was read; called before space_move() */
int epoch_moved(struct mm *mm, struct space *space, uint64_t from, uint64_t to,
		uint64_t bytes, struct error *err);

/**
 * epoch_unmapped() - UNMAP of [@addr, @end) was read
 *
 * A page that REMAP brought here in this epoch may have been brought after the unmapping: that page
 * stays in todo until the kernel has said whether it is mapped. The others leave todo.
 */
int epoch_unmapped(struct mm *mm, struct space *space, uint64_t addr, uint64_t end,
		   struct error *err);

/**
 * epoch_forked() - FORK was read: @child gets what @parent lost in this epoch as well
 *
 * The child was copied before or after any other change of this epoch: its todo is all of what may
 * be lacking, less what the kernel says is not mapped in the child.
 */
int epoch_forked(struct mm *mm, struct space *parent, struct space *child,
		 struct error *err);

/** epoch_try_end() - end the epoch of @space if the kernel lets us; else sets mm->retry */
void epoch_try_end(struct mm *mm, struct space *space);

/** epoch_drop() - @space is gone: nobody is told of its events any longer */
void epoch_drop(struct mm *mm, struct space *space);

#endif
