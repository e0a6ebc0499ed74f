/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is the other machine still there? Its kernel is listened to, not its program: a kernel
 * acknowledges data, and answers window probes while the program reads nothing, however long
 * that lasts. TCP_USER_TIMEOUT would end a connection whose peer reads slowly, so it is not used.
 */
#ifndef MIGRATE_WIRE_LIVENESS_H
#define MIGRATE_WIRE_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct liveness - what was seen of one connection
 * @looked_ms: the last look, CLOCK_MONOTONIC
 * @asked: something was sent that the other kernel must answer, at @asked_ms or before
 * @silent_ms: for so long nothing came since then
 * @pinged_ms, @pings: window probes of ours that were not answered
 */
struct liveness {
	int fd;
	int64_t looked_ms, asked_ms, silent_ms, pinged_ms;
	unsigned int pings;
	bool asked;
};

/**
 * liveness_is_local() - the peer of @fd is on this machine: its kernel says nothing of a tunnel
 *
 * True for UNIX sockets and for loopback addresses. Of such a connection only the other side's
 * heartbeats tell that it lives.
 */
bool liveness_is_local(int fd);

void liveness_init(struct liveness *live, int fd);

/** liveness_asked() - something was sent just now that the other kernel acknowledges */
void liveness_asked(struct liveness *live);

/**
 * liveness_is_lost() - the other kernel left something unanswered for @lost_ms
 *
 * To be called about four times in @lost_ms. While the peer's window is closed, what is sent to
 * ask can be answered twice a second only: then it takes up to two seconds.
 */
bool liveness_is_lost(struct liveness *live, unsigned int lost_ms);

#endif
