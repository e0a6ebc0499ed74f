/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCP connections that move with the program (--tcp keep), and with them the network addresses that
 * they have here. A filter (os/net_filter.h) keeps this machine and the peers apart from before CRIU's
 * dump on: CRIU puts the sockets into repair mode, in which they take no part in the protocol. The
 * migration is given up: the sockets leave repair mode, then the filter goes, then the program runs.
 * From the record of COMMIT on the filter drops whatever has to do with the addresses; when the program
 * has moved, the addresses are removed from this machine, and then the filter.
 */
#ifndef MIGRATE_SOURCE_CONNECTIONS_H
#define MIGRATE_SOURCE_CONNECTIONS_H

#include "os/net_filter.h"
#include "source/guard.h"

/**
 * struct connections - zeroed: connections are closed (--tcp close)
 * @filter: its name, which has the id of the migration; "": there is none
 * @addresses: of this machine, which move too
 * @on: this process has put the filter in
 * @inside: the program has a network namespace of its own: both ends are CRIU's to take apart, and there is no filter
 */
struct connections {
	char filter[NET_FILTER_NAME_BYTES];
	struct net_addresses addresses;
	bool on, inside;
};

/** connections_plan() - connections are to be kept; @id of the migration */
void connections_plan(struct connections *connections, const char *id);
static inline bool connections_are_kept(const struct connections *connections)
{
	return *connections->filter;
}

/** connections_lock() - from here on no TCP, or at NET_FILTER_ALL nothing, reaches the addresses */
int connections_lock(struct connections *connections, enum net_filter_level level,
		     struct error *err);
/**
 * connections_resume() - undo CRIU's work on the sockets, and connections_lock()
 * @guard: of the program, which still stands, but for CRIU
 *
 * May be called by any process, and when nothing was locked.
 */
int connections_resume(struct connections *connections, const struct guard *guard,
		       struct error *err);
/** connections_leave() - the program has gone: so do the addresses, and the filter after them */
int connections_leave(struct connections *connections, const struct guard *guard,
		      struct error *err);

#endif
