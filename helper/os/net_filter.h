/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A filter that keeps network addresses of this machine from being reached: two tables of nftables, of
 * one name, in the caller's network namespace. They stay until they are cleared, whichever process dies meanwhile.
 *
 * Packets with CRIU's mark pass: CRIU sends itself a FIN to restore a connection that is half closed.
 */
#ifndef MIGRATE_OS_NET_FILTER_H
#define MIGRATE_OS_NET_FILTER_H

#include "base/error.h"
#include "os/net_addresses.h"

#define NET_FILTER_NAME_BYTES	64

/**
 * enum net_filter_level - what is dropped
 * @NET_FILTER_TCP: all TCP to and from the addresses: neither side of a connection sees the other one
 * @NET_FILTER_ALL: whatever goes to or comes from the addresses, and ARP and neighbour discovery for
 *	them: another machine can have them
 */
enum net_filter_level { NET_FILTER_TCP, NET_FILTER_ALL };

/** net_filter_set() - put the filter in, in place of one of the same name, at once */
int net_filter_set(const char *name, const struct net_addresses *addresses,
		   enum net_filter_level level, struct error *err);
/** net_filter_clear() - remove it at once; 0 also when there is none */
int net_filter_clear(const char *name, struct error *err);
/**
 * net_filter_hold_in() - drop all TCP within the network namespace of process @pid
 *
 * Both ends of a connection are restored there, one after the other: data for an end that is not there yet would be
 * answered by a reset.
 */
int net_filter_hold_in(pid_t pid, const char *name, struct error *err);
/** net_filter_let_go_in() - undo that */
int net_filter_let_go_in(pid_t pid, const char *name, struct error *err);
/** net_filter_clear_table() - remove one table, as "inet NAME"; 0 also when there is none */
int net_filter_clear_table(const char *table, struct error *err);

#endif
