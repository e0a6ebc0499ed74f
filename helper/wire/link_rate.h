/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How fast a connection's bytes leave this machine, while something is being sent. What waits in the kernel's queue has not
 * left, so that a large queue, which takes the first megabytes at once, is no fast link.
 */
#ifndef MIGRATE_WIRE_LINK_RATE_H
#define MIGRATE_WIRE_LINK_RATE_H

#include "wire/conn.h"

/**
 * struct link_rate - of one thread
 * @conn: not owned
 * @ns, @left: while something was sent: time, and bytes that left
 * @busy_us, @window_us: time for which the kernel had something to send, and the part of it for which the other end took no more
 * @since: when the last piece began
 */
struct link_rate {
	const struct conn *conn;
	uint64_t ns, left, busy_us, window_us;
	struct link_rate_moment {
		uint64_t ns, queued, busy_us, window_us;
	} since;
};

/** link_rate_begin() - a piece is sent from now on */
void link_rate_begin(struct link_rate *rate);
/** link_rate_end() - @bytes were written since */
void link_rate_end(struct link_rate *rate, uint64_t bytes);
/** link_rate_forget() - what was measured so far */
void link_rate_forget(struct link_rate *rate);

/**
 * link_rate_is_peers() - it is the other end that is slow, not the link
 *
 * Never said of a peer on this machine: that may be a tunnel, which is as slow as the link behind it.
 */
bool link_rate_is_peers(const struct link_rate *rate);

/** link_rate() - bytes a second; 0: nothing was sent */
static inline double link_rate(const struct link_rate *rate)
{
	return rate->ns ? rate->left * 1e9 / rate->ns : 0;
}

#endif
