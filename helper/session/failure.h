/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The first failure of one end, which any thread may find. The mailbox keeps it, and wakes the threads
 * that wait there; hooks make the other calls that block return. The main thread alone acts on it, and
 * tells the other end. Used by source/failure.h and dest/peer.h.
 */
#ifndef MIGRATE_SESSION_FAILURE_H
#define MIGRATE_SESSION_FAILURE_H

#include "session/mailbox.h"

/**
 * struct failure_hooks - what the first failure ends
 * @cancel: called under the mailbox's lock: end the work of CRIU; must not block
 * @failed: called without a lock. @committed: COMMIT came before the failure: what is under way
 *	undoes nothing, and may be worth waiting for
 */
struct failure_hooks {
	void (*cancel)(void *ctx);
	void (*failed)(void *ctx, const struct error *err, bool committed);
};

/** struct failure - it has no lock: the one of @box covers all */
struct failure {
	struct mailbox *box;
	const struct failure_hooks *hooks;
	void *ctx;
};

/** failure_raise() - any thread: the first one counts, and calls the hooks */
void failure_raise(const struct failure *failure, const struct error *err);
/**
 * failure_raise_unless_committed() - failure_raise()
 * @undoes: it is a failure only before COMMIT. After COMMIT the program at the destination needs the
 *	pages that are at the source
 * Return: false when COMMIT is, or is being, recorded, and nothing was done for that reason
 */
bool failure_raise_unless_committed(const struct failure *failure, const struct error *err,
				    bool undoes);

/** failure_receive() - the thread of control: until there are no more messages, which is a failure */
void failure_receive(const struct failure *failure, struct control *ctl);

#endif
