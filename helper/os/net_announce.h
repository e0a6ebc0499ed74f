/* SPDX-License-Identifier: GPL-2.0 */
/* Tells the neighbours that addresses are here now: gratuitous ARP, unsolicited neighbour advertisements. */
#ifndef MIGRATE_OS_NET_ANNOUNCE_H
#define MIGRATE_OS_NET_ANNOUNCE_H

#include "os/net_addresses.h"

/**
 * net_announce() - once, on each interface that has one of the addresses
 * Return: how many announcements went out; none for an interface without hardware addresses
 */
size_t net_announce(const struct net_addresses *addresses);

#endif
