/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The source, as the threads of a migration talk to it over control: what came, what is sent, and the
 * first failure.
 */
#ifndef MIGRATE_DEST_PEER_H
#define MIGRATE_DEST_PEER_H

#include "session/failure.h"

/**
 * struct peer_hooks - what the first failure ends
 * @cancel: called under the mailbox's lock: end a restore that runs
 * @failed: called without a lock: end the waiting for pages. Not after COMMIT: pages that are here are
 *	installed then
 */
struct peer_hooks {
	void (*cancel)(void *ctx);
	void (*failed)(void *ctx);
	void *ctx;
};

/**
 * struct peer - one per migration
 * @failure: calls @hooks
 * @ctl: NULL before peer_start()
 * @thread: takes messages off control into @box
 */
struct peer {
	struct mailbox box;
	struct failure failure;
	struct control *ctl;
	struct peer_hooks hooks;
	pthread_t thread;
};

void peer_init(struct peer *peer, const struct peer_hooks *hooks);
/** peer_open() - @conn is control; owned from here on */
int peer_open(struct peer *peer, struct conn *conn, struct error *err);
/** peer_start() - start the thread */
int peer_start(struct peer *peer, struct error *err);
/** peer_fail() - any thread: the first failure counts */
void peer_fail(struct peer *peer, const struct error *err);
/** peer_fail_unless_committed() - peer_fail(), for what is no failure once COMMIT was received */
void peer_fail_unless_committed(struct peer *peer, const struct error *err);
/** peer_state() - report_state_begin() and its sleep, which a failure cuts short */
void peer_state(struct peer *peer, const char *state);
/** peer_wait() - until *@flag (under the mailbox's lock) is set; @what: how errors call it */
int peer_wait(struct peer *peer, const bool *flag, int timeout_ms, const char *what,
	      struct error *err);
/**
 * peer_commit() - COMMIT was received: no failure undoes anything from here on
 *
 * -1 when something had failed before by which the program cannot run here. A lost link is no
 * such failure: the source gave the program up when it sent COMMIT.
 */
int peer_commit(struct peer *peer, struct error *err);

#endif
