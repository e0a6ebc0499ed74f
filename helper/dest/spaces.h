/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The restored address spaces of one mm: the task's own space, and a space for each child that the
 * task has forked since.
 */
#ifndef MIGRATE_DEST_SPACES_H
#define MIGRATE_DEST_SPACES_H

#include "dest/mm.h"

/* The following functions take mm.lock. */

/** spaces_attach() - give the first space its userfaultfd, which the space then owns */
int spaces_attach(struct mm *mm, int uffd, struct error *err);
/** spaces_ready() - CRIU has ended, and makes no further mapping in the first space */
void spaces_ready(struct mm *mm);
/**
 * spaces_wait_done() - wait for spaces_done()
 * @timeout_ms: -1: no time-out; mm_fail() ends the wait
 * Return: spaces_done()
 */
bool spaces_wait_done(struct mm *mm, int timeout_ms);
/** spaces_is_gone() - the first space's process has ended, or has called exec */
bool spaces_is_gone(struct mm *mm);

/* The caller holds mm.lock. */

/**
 * spaces_done() - true when no space lacks a page, or all tasks have ended
 *
 * A process that must end for what it lost has ended; another one may wait for it for ever.
 */
bool spaces_done(const struct mm *mm);
/** spaces_fill() - install up to @nr_pages at @addr: the mirror has the first of them, or it is lost */
enum install spaces_fill(struct mm *mm, struct space *space, uint64_t addr, uint64_t nr_pages);
/** spaces_bury() - the process of @space has ended: release its pages */
void spaces_bury(struct mm *mm, struct space *space);

#endif
