/* SPDX-License-Identifier: GPL-2.0 */
/* The TCP, UDP and raw sockets of a network namespace, as /proc/PID/net lists them. */
#ifndef MIGRATE_OS_INET_SOCKETS_H
#define MIGRATE_OS_INET_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"

/** struct inet_socket - one socket; @state: of TCP; @queue: unread bytes; of a listener: connections */
struct inet_socket {
	unsigned long inode;
	bool tcp;
	unsigned int state, queue;
};

/** struct inet_sockets - sorted by inode. Zeroed is empty */
struct inet_sockets {
	struct inet_socket *items;
	size_t nr;
};

/** inet_sockets_read() - those of the network namespace of process @pid; a table may be missing */
int inet_sockets_read(pid_t pid, struct inet_sockets *all, struct error *err);
/** inet_sockets_find() - NULL: no table has it, as after a reset */
const struct inet_socket *inet_sockets_find(const struct inet_sockets *all, unsigned long inode);
void inet_sockets_free(struct inet_sockets *all);

/**
 * inet_socket_was_reset() - @fd is a TCP socket whose connection was reset: it is open, and closed
 *
 * No table lists such a socket, but it keeps its counters. One that received a single segment had
 * its connect() refused, and is as good as new.
 */
bool inet_socket_was_reset(int fd);

#endif
