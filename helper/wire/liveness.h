/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tells whether the other machine's kernel still answers. The peer's program may be slow: its
 * kernel acknowledges data, and answers window probes while the program reads nothing. That ends a link soon, and keeps none:
 * see wire/answers.h.
 * TCP_USER_TIMEOUT would end the connection of a peer that reads slowly.
 */
#ifndef MIGRATE_WIRE_LIVENESS_H
#define MIGRATE_WIRE_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct liveness - one connection
 * @looked_ms: time of the last look, CLOCK_MONOTONIC
 * @asked: the other kernel still has to answer data or a probe, sent at @asked_ms or before
 * @silent_ms: silence since @asked_ms
 * @pinged_ms: time of the last window probe of this helper
 * @pings: such probes without an answer
 */
struct liveness {
	int fd;
	int64_t looked_ms, asked_ms, silent_ms, pinged_ms;
	unsigned int pings;
	bool asked;
};

/**
 * liveness_is_local() - true for UNIX sockets and loopback addresses
 *
 * The kernel that answers on such a connection is this machine's own. The far end of a tunnel shows
 * that it lives by heartbeats only.
 */
bool liveness_is_local(int fd);

void liveness_init(struct liveness *live, int fd);

/** liveness_asked() - data was sent just now, which the other kernel has to acknowledge */
void liveness_asked(struct liveness *live);

/**
 * liveness_is_lost() - the other kernel has not answered for @lost_ms, counted from when an answer was due
 *
 * That is a round trip after what had to be answered, as TCP measures it: on a long link, or behind a full queue, an
 * answer takes longer than @lost_ms may be. The caller looks about four times in @lost_ms. A kernel with a closed window answers two probes a
 * second at most: then the function needs up to two seconds.
 */
bool liveness_is_lost(struct liveness *live, unsigned int lost_ms);

#endif
