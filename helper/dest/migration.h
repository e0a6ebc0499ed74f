/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One migration at the destination, in a process of its own: the order of its states, and the hooks
 * between the objects. An object knows of others only by these hooks.
 *
 * Threads: the main thread is the state machine; one takes messages off control, one each receives
 * from a memory stream and the urgent connection, one answers faults, one populates, one watches for
 * signals and for the end of others. Any of them ends the migration by peer_fail(); only the main
 * thread acts on it.
 *
 * Order of locks: mm.lock, then one of these, which are leaves: the locks of the mailbox, of
 * objects, faults, populate, the keeper and the budget.
 */
#ifndef MIGRATE_DEST_MIGRATION_H
#define MIGRATE_DEST_MIGRATION_H

#include "dest/serve_options.h"

/**
 * migration_run() - run one migration; called in a process of its own
 * @control: the control connection, which the function owns
 * @parent_sock: socket to the accepting process (dest/parent.h)
 * Return: enum exit_code
 */
int migration_run(const struct conn *control, int parent_sock, const uint8_t *id,
		  const struct serve_options *opts);
/** migration_refuse() - tell the source why, for which nothing was made yet; otherwise as migration_run() */
int migration_refuse(const struct conn *control, const struct error *why);

#endif
