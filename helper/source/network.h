/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The network namespace that a program has of its own: CRIU makes it anew, with its addresses, routes and rules.
 * Connections inside of it go on, since both ends move. What leads out of it is refused in SETUP, but for
 * interfaces that the user hands on.
 */
#ifndef MIGRATE_SOURCE_NETWORK_H
#define MIGRATE_SOURCE_NETWORK_H

#include <sys/types.h>
#include "base/error.h"
#include "criu/config.h"

/**
 * source_network_is_own() - process @pid is in another network namespace than this helper
 */
bool source_network_is_own(pid_t pid);

/**
 * source_network_check() - what leads out of the namespace of @pid; nothing is looked at if it is this helper's
 * @config: of --criu-config
 */
int source_network_check(pid_t pid, const struct criu_config *config, struct error *err);

/** struct net_ends - the ends of TCP connections, as "ADDRESS:PORT" of /proc/net/tcp. Zeroed is empty */
struct net_ends {
	struct net_end {
		char local[48], remote[48];
	} *items;
	size_t nr;
};

/** net_ends_take() - add the connection of a line of /proc/net/tcp or tcp6, if it is one */
int net_ends_take(struct net_ends *ends, const char *line);
/** net_ends_find_outside() - a connection whose other end is not in the list; NULL: there is none */
const struct net_end *net_ends_find_outside(const struct net_ends *ends);

#endif
