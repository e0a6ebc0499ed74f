/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tells whether the other program still says something: a Heartbeat, or any part of a message. What a kernel acknowledges
 * (wire/liveness.h) ends a link when it stops, and keeps none: whoever is on the path can acknowledge, and with TLS only
 * the other program can make bytes that come through.
 */
#ifndef MIGRATE_WIRE_ANSWERS_H
#define MIGRATE_WIRE_ANSWERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ANSWERS_LOST_MS	60000	/* so many seconds without one of the Heartbeats that come each second */

/**
 * struct answers - one connection
 * @came: number of reads that brought bytes; @seen: at the last look
 * @awaited: the reader waits: while it does something else, bytes may lie in the socket
 * @looked_ms: time of the last look, CLOCK_MONOTONIC
 * @silent_ms: for which the reader has waited since @seen changed
 * @lost_ms: longest silence
 */
struct answers {
	atomic_uint came;
	atomic_bool awaited;
	unsigned int seen;
	int64_t looked_ms, silent_ms, lost_ms;
};

/** answers_init() - the limit is ANSWERS_LOST_MS, or MIGRATE_HELPER_ANSWERS_MS of a test's environment */
void answers_init(struct answers *answers);

/** answers_await() - the reader begins, or ends, to wait */
void answers_await(struct answers *answers, bool awaited);

/** answers_came() - the reader has got bytes, whose TLS, if there is any, is good */
void answers_came(struct answers *answers);

/**
 * answers_are_lost() - nothing has come for too long
 *
 * One thread looks, several times in that time. A long gap between two looks says that this machine stood still, not the
 * other one: little of it counts.
 */
bool answers_are_lost(struct answers *answers);

#endif
