/* SPDX-License-Identifier: GPL-2.0 */
/* Ranges of IPv4 and IPv6 addresses, as a person writes them: 10.2.0.0/24,fd02::5. */
#ifndef MIGRATE_OS_NET_RANGES_H
#define MIGRATE_OS_NET_RANGES_H

#include "os/net_addresses.h"

#define NET_RANGES_MAX	64

/** struct net_range - the addresses that begin with the first @bits of @address */
struct net_range {
	struct net_address address;
	unsigned int bits;
};

/** struct net_ranges - zeroed is empty */
struct net_ranges {
	struct net_range items[NET_RANGES_MAX];
	size_t nr;
};

/**
 * net_ranges_parse() - ADDRESS[/BITS][,ADDRESS[/BITS]]...
 * Return: 0; -1: the text is wrong, or names more than NET_RANGES_MAX
 */
int net_ranges_parse(struct net_ranges *ranges, const char *text);
bool net_ranges_have(const struct net_ranges *ranges, const struct net_address *address);

#endif
