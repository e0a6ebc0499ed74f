/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TCP connections that their program has closed, and whose peer has not acknowledged all: the kernel sends
 * on, and no process has a descriptor of them.
 */
#ifndef MIGRATE_OS_INET_ORPHANS_H
#define MIGRATE_OS_INET_ORPHANS_H

#include <linux/inet_diag.h>
#include "os/net_addresses.h"

/**
 * struct inet_orphan - one of them
 * @family: AF_INET or AF_INET6
 * @id: as the kernel names it
 * @cookie: no other socket has it
 * @peer: and @port, in host order: the other end
 * @bytes: not acknowledged; its end, which is yet to be acknowledged too, counts as one
 */
struct inet_orphan {
	uint8_t family;
	struct inet_diag_sockid id;
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
/** inet_orphans_read_in() - all those of the network namespace of process @pid */
int inet_orphans_read_in(pid_t pid, struct inet_orphans *all, struct error *err);
/**
 * inet_orphans_end() - end them, so that they send nothing any more
 *
 * The kernel may tell their peers so (a reset): the caller has a filter that drops that.
 * Return: 0: none is left; -1 with @err
 */
int inet_orphans_end(const struct net_addresses *addresses, struct error *err);
/** inet_orphans_can_end() - this kernel can; whether the caller may is not known (CAP_NET_ADMIN) */
bool inet_orphans_can_end(void);
bool inet_orphans_have(const struct inet_orphans *all, uint64_t cookie);
void inet_orphans_free(struct inet_orphans *all);

#endif
