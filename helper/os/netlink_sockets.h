/* SPDX-License-Identifier: GPL-2.0 */
/* The netlink sockets of a network namespace, as /proc/PID/net/netlink lists them. */
#ifndef MIGRATE_OS_NETLINK_SOCKETS_H
#define MIGRATE_OS_NETLINK_SOCKETS_H

#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * netlink_sockets_unread() - those that have data which nobody has read yet, in the network namespace
 *	of process @pid
 * @inodes: of the caller, from malloc(); NULL when @nr is 0
 * Return: 0, or -1 with @err: no memory. A kernel without netlink has none
 */
int netlink_sockets_unread(pid_t pid, unsigned long **inodes, size_t *nr, struct error *err);

#endif
