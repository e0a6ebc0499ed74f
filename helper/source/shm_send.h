/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages of shared memory, on their way: in rounds while the program runs, and those that are not
 * the same any more while it stands.
 *
 * No tracker sees all writes to shared memory. A write(2), splice or fallocate into an object sets no
 * bit in any page table, and neither does a process outside of the tree. So the content itself is
 * compared: each page is read, and sent when its digest (XXH3, 128 bits) is not that of the page that
 * the destination has. This holds for all objects, however they are written.
 *
 * Why no page is old at the end: @digests has the digest of the very bytes that were put onto the
 * connection, since a page is copied first, and digest and frame are made of the copy. Frames of one
 * connection are taken in order, all of an address go over one connection, and a round is a barrier. So the page of the destination has the
 * digest in @digests, for each page of @sent. While the program stands each page that is no hole is
 * read once more, when none of its processes runs (shm_compare.h; the rest here). A page is left out
 * only when it has the digest of the destination's page: two different pages have the same one with a
 * probability of 2^-128. A hole is told as DROPPED, so that the destination has none where a page was.
 */
#ifndef MIGRATE_SOURCE_SHM_SEND_H
#define MIGRATE_SOURCE_SHM_SEND_H

#include "session/mailbox.h"
#include "source/sender.h"
#include "source/shm.h"

/**
 * shms_send() - each page of which the destination has another content, or none; and DROPPED
 *
 * Behind shms_look() and shms_announce(). With sender.frozen the program stands.
 */
int shms_send(struct source_shms *shms, struct sender *sender, struct mailbox *box,
	      struct error *err);

/** shms_mark() - ROUND or FINAL of each object */
int shms_mark(struct source_shms *shms, struct sender *sender, enum frame_kind kind,
	      struct error *err);

/** shms_send_lists() - POPULATED of each object: all pages that are no holes */
int shms_send_lists(struct source_shms *shms, struct sender *sender, struct error *err);

#endif
