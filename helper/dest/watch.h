/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread that watches signals, and what the restore rests on: the keeper and the init of the
 * namespace. When one of these dies before COMMIT, the migration fails.
 */
#ifndef MIGRATE_DEST_WATCH_H
#define MIGRATE_DEST_WATCH_H

#include "dest/keeper.h"
#include "dest/peer.h"
#include "dest/places.h"
#include "dest/process.h"

/**
 * struct watch - of its thread, once it runs
 * @place: says whether others need the place of this migration; may be NULL
 * @signals: a signalfd
 */
struct watch {
	struct peer *peer;
	const struct keeper *keeper;
	const struct process *process;
	const struct place *place;
	int signals;
};

/** watch_init() - signals are blocked in every thread that is started from here on */
int watch_init(struct watch *watch, struct error *err);
/** watch_start() - start the thread; it runs until the process ends */
int watch_start(struct watch *watch, struct error *err);

#endif
