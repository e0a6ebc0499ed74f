/* SPDX-License-Identifier: GPL-2.0 */
/* --tcp keep: a look at the program's TCP sockets: which addresses move, and which connections cannot. */
#ifndef MIGRATE_SOURCE_KEPT_SOCKETS_H
#define MIGRATE_SOURCE_KEPT_SOCKETS_H

#include "os/net_addresses.h"
#include "source/tree.h"

/**
 * kept_sockets_find() - in SETUP
 * @addresses: filled with the addresses of connections, and those that listeners are bound to
 *
 * Return: 0; -1 with CODE_REFUSED when a connection cannot be kept
 */
int kept_sockets_find(const struct tree *tree, struct net_addresses *addresses, struct error *err);
/** kept_sockets_check() - the program stands: -1 when it has a connection from another address, too */
int kept_sockets_check(const struct tree *tree, const struct net_addresses *addresses,
		       struct error *err);

#endif
