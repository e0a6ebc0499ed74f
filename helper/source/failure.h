/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a failure ends at the source: the waiting in connections, and a dump that is not done. Both are
 * there for a part of the migration only.
 */
#ifndef MIGRATE_SOURCE_FAILURE_H
#define MIGRATE_SOURCE_FAILURE_H

#include <stdbool.h>
#include "session/failure.h"
#include "source/link_set.h"

/**
 * struct source_failure - the rest is under the lock of the mailbox
 * @first: failures are raised there
 * @links: shut down at a failure; NULL: there are none yet
 * @rpc_fd: of a CRIU that dumps and is not held yet; -1: none. Shut down at a failure
 */
struct source_failure {
	struct failure first;
	struct link_set *links;
	int rpc_fd;
};

void source_failure_init(struct source_failure *failure, struct mailbox *box);
/** source_failure_connected() - from here on @links are shut down, and the destination is told why */
void source_failure_connected(struct source_failure *failure, struct link_set *links);

bool source_failure_is_connected(struct source_failure *failure);

/**
 * source_failure_watch_rpc() - CRIU has begun to dump and a failure shall end it
 * @ctx: struct source_failure
 * @rpc_fd: -1: CRIU holds the program, or has ended
 *
 * CRIU lets the program go when CRIU next speaks on a socket that was shut down.
 */
void source_failure_watch_rpc(void *ctx, int rpc_fd);

/** source_failure_reason() - the first failure in place of @err: a later error is a consequence */
void source_failure_reason(struct source_failure *failure, struct error *err);

#endif
