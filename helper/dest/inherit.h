/* SPDX-License-Identifier: GPL-2.0 */
/* Pages that a process has in common with its parent, and that travelled once: before FINAL. */
#ifndef MIGRATE_DEST_INHERIT_H
#define MIGRATE_DEST_INHERIT_H

#include "dest/mm.h"

/**
 * inherit_copy() - take the pages of @runs from the mirror of @mm's parent
 * @buf: room for FRAME_MAX_PAGES pages
 *
 * For the thread of a memory stream. Pages of this address, of whatever object, come over no other stream
 * (source/streams.h): so the content is that of the rounds so far. One lock is held at a time. Return: -1 with CODE_PEER when
 * the parent lacks a page, or when a page comes twice in a round
 */
int inherit_copy(struct mm *mm, const struct splice_vm_run *runs, uint32_t nr_runs, void *buf,
		 struct error *err);

#endif
