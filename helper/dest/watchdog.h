/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread that watches signals, and what the restore rests on: the keeper and the init of the
 * namespace. When one of these dies before COMMIT, the migration fails. A migration that has failed and
 * cannot be undone in order is ended with its process.
 */
#ifndef MIGRATE_DEST_WATCHDOG_H
#define MIGRATE_DEST_WATCHDOG_H

#include "dest/keeper.h"
#include "dest/peer.h"
#include "dest/places.h"
#include "dest/program.h"

/**
 * struct watchdog - of its thread, once it runs
 * @place: says whether others need the place of this migration; may be NULL
 * @signals: a signalfd
 * @undo_ms: so long after a failure this process may live that is not committed; watchdog_init() sets it
 */
struct watchdog {
	struct peer *peer;
	const struct keeper *keeper;
	const struct program *program;
	const struct place *place;
	int signals;
	int64_t undo_ms;
};

/** watchdog_init() - signals are blocked in every thread that is started from here on */
int watchdog_init(struct watchdog *watchdog, struct error *err);
/** watchdog_start() - start the thread; it runs until the process ends */
int watchdog_start(struct watchdog *watchdog, struct error *err);

#endif
