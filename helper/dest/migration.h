/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One migration at the destination, in a process of its own: the order of its states, and who tells
 * whom. The objects know nothing of each other but what they are given here.
 *
 * Threads: the main thread is the state machine; one takes messages off control, one each receives from
 * the memory and the urgent connection, one answers faults, one populates, one watches for signals and
 * for the end of others. Any of them ends the migration by peer_fail(); only the main thread acts on it.
 *
 * Order of locks: mm.lock, then one of these, which are leaves: the locks of the mailbox, of objects,
 * populate, the keeper and the budget.
 */
#ifndef MIGRATE_DEST_MIGRATION_H
#define MIGRATE_DEST_MIGRATION_H

#include "dest/serve_options.h"

/**
 * migration_run() - the whole of one migration; called in a process of its own
 * @control_fd: owned
 * @parent_sock: dest/parent.h
 * Return: enum exit_code
 */
int migration_run(int control_fd, int parent_sock, const uint8_t *id,
		  const struct serve_options *opts);

#endif
