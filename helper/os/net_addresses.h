/* SPDX-License-Identifier: GPL-2.0 */
/* A few IPv4 and IPv6 addresses of this machine. IPv4 addresses of IPv6 sockets count as IPv4. */
#ifndef MIGRATE_OS_NET_ADDRESSES_H
#define MIGRATE_OS_NET_ADDRESSES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/error.h"

#define NET_ADDRESSES_MAX	16

/** struct net_address - @len: 4 or 16 bytes, in network order */
struct net_address {
	uint8_t len, bytes[16];
};

/** struct net_addresses - each address once. Zeroed is empty */
struct net_addresses {
	struct net_address items[NET_ADDRESSES_MAX];
	size_t nr;
};

/** struct net_name - an address as text */
struct net_name {
	char text[INET6_ADDRSTRLEN];
};

/** net_address_of() - false when @name is neither of IPv4 nor of IPv6 */
bool net_address_of(const struct sockaddr_storage *name, struct net_address *address);
/** net_address_make() - of @len bytes that came over the wire; false: no address has so many */
bool net_address_make(const void *bytes, size_t len, struct net_address *address);
bool net_address_equals(const struct net_address *one, const struct net_address *two);
/** net_address_is_loopback() - 127.0.0.0/8 or ::1 */
bool net_address_is_loopback(const struct net_address *address);
/** net_address_is_any() - 0.0.0.0 or :: */
bool net_address_is_any(const struct net_address *address);
/** net_address_is_of_one() - no multicast, broadcast, link-local or reserved one: one machine at a time has it */
bool net_address_is_of_one(const struct net_address *address);
struct net_name net_address_name(const struct net_address *address);

bool net_addresses_have(const struct net_addresses *all, const struct net_address *address);
/** net_addresses_have_local() - the local address of socket @fd is one of them */
bool net_addresses_have_local(const struct net_addresses *all, int fd);
/** net_addresses_add() - -1 when there is no room for one more */
int net_addresses_add(struct net_addresses *all, const struct net_address *address);

/**
 * net_address_lock() - one migration at a time brings an address into this network namespace
 * Return: a descriptor, which holds the lock; -1 with @err: another process has it
 */
int net_address_lock(const struct net_address *address, struct error *err);
/** net_address_is_here() - an interface of this network namespace has it */
bool net_address_is_here(const struct net_address *address);
/**
 * net_address_add() - give it to interface @name, as the only address of its network, without a look
 *	whether another machine has it
 */
int net_address_add(const struct net_address *address, const char *name, struct error *err);
/** net_address_remove() - take it from the interface that has it; 0 also when none has */
int net_address_remove(const struct net_address *address, struct error *err);

#endif
