/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lock that a migration has on its program, from the beginning on. The control group says whose a program is only
 * from guard_enter() on, and then of each process that is in the group.
 *
 * The lock is on the root's memory in /proc: it names the process, not the pid, leaves no file behind, and only who may
 * trace the program can take it. A migration of an ancestor moves this root too, and one of a descendant moves a part
 * of this program; so the locks of both are looked at when the own one is held, and of two that begin at once at least
 * one finds the other. Exactly one goes on: who finds an ancestor locked gives up at once, and who finds a
 * descendant locked waits for two seconds, so that it meets a lock that is about to go. A process that is no migration
 * can take such a lock too: it is named, since no waiting helps.
 */
#ifndef MIGRATE_SOURCE_GUARD_LOCK_H
#define MIGRATE_SOURCE_GUARD_LOCK_H

#include "source/guard.h"

/**
 * guard_lock() - keep all other migrations off the program, until each process that holds @lock_fd has closed it or ended
 *
 * Return: 0, also for a root without memory, which no migration takes; -1 with CODE_REFUSED when another one has the
 *	root, an ancestor or a descendant, which @err names
 */
int guard_lock(struct guard *guard, struct error *err);

#endif
