/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one end of a migration was told, in order, and why it failed, if it did: the messages of the
 * other side and the first failure, under one lock. Both ends use it, so that both answer the
 * question "which counts?" alike: a message that was received counts before a failure that came later.
 */
#ifndef MIGRATE_SESSION_MAILBOX_H
#define MIGRATE_SESSION_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "wire/control.h"

#define MAILBOX_MESSAGES	16	/* taken off control and not looked at */

/**
 * struct mailbox - shared by the threads of a migration; all under @lock, a leaf lock
 * @changed: broadcast at every change
 * @queue: messages in order; the control thread waits while the queue is full
 * @hung_up: no more messages will come
 * @closing: failures are of no interest any longer
 * @committed: failures undo nothing any more
 * @failed, @err: the first failure
 * @peer: how the other side is called in errors: "the source"
 *
 * The owner may put flags of its own under @lock; mailbox_set() and mailbox_wait() take them.
 */
struct mailbox {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	Migrate__Control *queue[MAILBOX_MESSAGES];
	size_t nr_queue;
	bool hung_up, closing, committed, failed;
	struct error err;
	const char *peer;
};

void mailbox_init(struct mailbox *box, const char *peer);
/** mailbox_destroy() - messages that nobody took are freed; no thread may use it any more */
void mailbox_destroy(struct mailbox *box);

static inline void mailbox_lock(struct mailbox *box)
{
	pthread_mutex_lock(&box->lock);
}

static inline void mailbox_unlock(struct mailbox *box)
{
	pthread_mutex_unlock(&box->lock);
}

/** enum mailbox_fault - what mailbox_fail_locked() did */
enum mailbox_fault { MAILBOX_FIRST, MAILBOX_LATER, MAILBOX_TOO_LATE };

/**
 * mailbox_fail_locked() - the first failure counts
 * @undoes: it is a failure only before COMMIT; afterwards it is MAILBOX_TOO_LATE, and not kept
 */
enum mailbox_fault mailbox_fail_locked(struct mailbox *box, const struct error *err, bool undoes);

/** mailbox_failed() - 0, or -1 and why */
int mailbox_failed(struct mailbox *box, struct error *err);

/**
 * mailbox_receive() - put messages of @ctl into the queue until there are no more
 * @err: why there are none: the caller makes a failure of it, and then calls mailbox_hang_up()
 */
void mailbox_receive(struct mailbox *box, struct control *ctl, struct error *err);
void mailbox_hang_up(struct mailbox *box);

/**
 * mailbox_next() - the next message; free it with migrate__control__free_unpacked(msg, NULL)
 * @timeout_ms: -1: none
 * Return: NULL with @err after a failure, a hang-up or @timeout_ms (CODE_NETWORK)
 */
Migrate__Control *mailbox_next(struct mailbox *box, int timeout_ms, struct error *err);
/** mailbox_expect() - mailbox_next() that fails with CODE_PEER unless the body is @body */
Migrate__Control *mailbox_expect(struct mailbox *box, Migrate__Control__BodyCase body,
				 int timeout_ms, struct error *err);
/**
 * mailbox_wait_message() - until there is a message, or control has hung up
 * @despite_failure: go on waiting although something else has failed
 * Return: false after @timeout_ms
 */
bool mailbox_wait_message(struct mailbox *box, bool despite_failure, int timeout_ms);

/** mailbox_set() - set a flag that the lock covers */
void mailbox_set(struct mailbox *box, bool *flag);
/**
 * mailbox_wait() - until @flag is set
 * Return: 0; 1 after @timeout_ms; -1 with @err after a failure, which counts before the flag
 */
int mailbox_wait(struct mailbox *box, const bool *flag, int timeout_ms, struct error *err);
/** mailbox_wait_failure() - until there is a failure, or @timeout_ms have passed */
void mailbox_wait_failure(struct mailbox *box, int timeout_ms);

/**
 * mailbox_commit() - failures undo nothing from here on
 * @but: a failure with this code does not stand in the way; CODE_OK: any does
 * Return: -1 with @err when there was a failure before
 */
int mailbox_commit(struct mailbox *box, enum exit_code but, struct error *err);
void mailbox_uncommit(struct mailbox *box);
bool mailbox_is_committed(struct mailbox *box);

/** mailbox_close() - a thread that waits for room in the queue comes back; no failure counts any more */
void mailbox_close(struct mailbox *box);

#endif
