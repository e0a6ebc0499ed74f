/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The restored address spaces of one mm: that of the task itself, and those of its children that were
 * forked since.
 */
#ifndef MIGRATE_DEST_SPACES_H
#define MIGRATE_DEST_SPACES_H

#include "dest/mm.h"

/* These take mm.lock. */

/** spaces_attach() - the first space's userfaultfd; owned from here on */
int spaces_attach(struct mm *mm, int uffd, struct error *err);
/** spaces_ready() - CRIU has ended: the first space's mappings are what they are */
void spaces_ready(struct mm *mm);
/**
 * spaces_wait_done() - for spaces_done()
 * @timeout_ms: -1: until then, or until mm_fail()
 * Return: spaces_done()
 */
bool spaces_wait_done(struct mm *mm, int timeout_ms);
/** spaces_is_gone() - the first space's process has ended, or has called exec */
bool spaces_is_gone(struct mm *mm);

/* With mm.lock held. */

/** spaces_done() - no space lacks anything, or the tasks have gone */
bool spaces_done(const struct mm *mm);
/** spaces_fill() - install up to @nr_pages at @addr from the mirror; the page at @addr is in todo and in the mirror */
enum install spaces_fill(struct mm *mm, struct space *space, uint64_t addr, uint64_t nr_pages);
/** spaces_bury() - the process of @space is gone: nobody needs its pages */
void spaces_bury(struct mm *mm, struct space *space);

#endif
