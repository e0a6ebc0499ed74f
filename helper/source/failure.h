/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The end of a migration at the source by a failure, which any thread may find. The first failure
 * counts, and the mailbox keeps it. Calls that block return; the main thread alone acts.
 */
#ifndef MIGRATE_SOURCE_FAILURE_H
#define MIGRATE_SOURCE_FAILURE_H

#include <pthread.h>
#include <stdbool.h>
#include "session/link_set.h"
#include "session/mailbox.h"

/**
 * struct failure - see the top of this file
 * @lock: covers the rest; taken before that of @box
 * @links: shut down at a failure; NULL: there are none yet
 * @rpc_fd: of a CRIU that dumps and is not held yet; -1: none. Shut down at a failure
 */
struct failure {
	struct mailbox *box;
	pthread_mutex_t lock;
	struct link_set *links;
	int rpc_fd;
};

void failure_init(struct failure *failure, struct mailbox *box);
/** failure_connected() - from here on @links are shut down, and the destination is told why */
void failure_connected(struct failure *failure, struct link_set *links);

bool failure_is_connected(struct failure *failure);

/** failure_raise() - any thread: the first one counts */
void failure_raise(struct failure *failure, const struct error *err);
/**
 * failure_raise_unless_committed() - failure_raise()
 * @undoes: the failure ends the migration only before COMMIT. After COMMIT the program at the
 *	destination needs the pages that are here
 * Return: false when COMMIT is, or is being, recorded, and nothing was done for that reason
 */
bool failure_raise_unless_committed(struct failure *failure, const struct error *err, bool undoes);

/**
 * failure_watch_rpc() - CRIU has begun to dump and a failure shall end it; -1: CRIU holds the program, or has ended
 * @ctx: struct failure
 *
 * CRIU lets the program go when CRIU next speaks on a socket that was shut down.
 */
void failure_watch_rpc(void *ctx, int rpc_fd);

/** failure_reason() - the first failure in place of @err: a later error is a consequence */
void failure_reason(struct failure *failure, struct error *err);

#endif
