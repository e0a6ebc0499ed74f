/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCP connections that their program has closed, and whose peer has not acknowledged all: the kernel sends
 * on, and no process has a descriptor of them.
 */
#ifndef MIGRATE_OS_INET_ORPHANS_H
#define MIGRATE_OS_INET_ORPHANS_H

#include "os/net_addresses.h"

/**
 * struct inet_orphan - one of them
 * @cookie: no other socket has it
 * @peer: and @port, in host order: the other end
 * @bytes: not acknowledged; its end, which is yet to be acknowledged too, counts as one
 */
struct inet_orphan {
	uint64_t cookie, bytes;
	struct net_address peer;
	in_port_t port;
};

/** struct inet_orphans - zeroed is empty */
struct inet_orphans {
	struct inet_orphan *items;
	size_t nr;
};

/**
 * inet_orphans_read() - those of this network namespace whose own address is one of @addresses
 * Return: -1 with @err also when the kernel lacks inet_diag
 */
int inet_orphans_read(const struct net_addresses *addresses, struct inet_orphans *all,
		      struct error *err);
bool inet_orphans_have(const struct inet_orphans *all, uint64_t cookie);
void inet_orphans_free(struct inet_orphans *all);

#endif
