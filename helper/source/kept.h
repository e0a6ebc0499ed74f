/* SPDX-License-Identifier: GPL-2.0 */
/* The keeper's own process, and what it and its helper (keeper.c) say to each other. */
#ifndef MIGRATE_SOURCE_KEPT_H
#define MIGRATE_SOURCE_KEPT_H

#include <stdbool.h>
#include "base/error.h"
#include "source/record.h"

enum keeper_op { OP_ENTER, OP_GUARD, OP_UNGUARD, OP_KEEP, OP_COMMIT, OP_UNCOMMIT, OP_KILL, OP_END };

/**
 * struct keeper_msg - a request, and with @err filled its answer
 * @limit_ms: of OP_GUARD: COMMIT is recorded, or the guard lifted, within this time
 */
struct keeper_msg {
	enum keeper_op op;
	bool keep_log;
	int limit_ms;
	struct error err;
};

/**
 * source_kept_run() - the keeper's process, from its fork on; does not return
 * @record, @dir: as for source_keeper_start()
 * @sock: socket pair to the helper
 * @helper_fd: pidfd of the helper
 */
void source_kept_run(const struct record *record, const char *dir, int sock, int helper_fd);

/** source_kept_remove_dir() - the migration's directory; @keep_log: but for CRIU's log */
void source_kept_remove_dir(const char *dir, bool keep_log);

#endif
