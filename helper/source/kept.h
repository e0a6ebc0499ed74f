/* SPDX-License-Identifier: GPL-2.0 */
/* The keeper's own process, and what it and its helper (keeper.c) say to each other. */
#ifndef MIGRATE_SOURCE_KEPT_H
#define MIGRATE_SOURCE_KEPT_H

#include <stdbool.h>
#include "base/error.h"
#include "session/keeper.h"
#include "source/record.h"

/**
 * enum source_keeper_op - what the helper asks; the value of a message
 * @OP_ENTER, @OP_GUARD: COMMIT is recorded, or the guard lifted, within so many ms
 * @OP_KEEP: key of the tracker
 * @OP_THROTTLE: CPU time of the program in us of a period; 0: what it had
 * @OP_LOCK: enum net_filter_level; the addresses come along
 * @OP_END: 1: CRIU's log stays
 */
enum source_keeper_op { OP_ENTER, OP_GUARD, OP_UNGUARD, OP_KEEP, OP_THROTTLE, OP_LOCK, OP_COMMIT, OP_UNCOMMIT, OP_KILL,
			OP_END };

/** source_kept_start() - start the process; arguments as for source_keeper_start() */
int source_kept_start(struct keeper_process *process, const struct record *record, const char *dir,
		      struct error *err);

/** source_kept_remove_dir() - the migration's directory; @keep_log: but for CRIU's log */
void source_kept_remove_dir(const char *dir, bool keep_log);

#endif
