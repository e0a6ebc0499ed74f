/* SPDX-License-Identifier: GPL-2.0 */
/* A netlink socket that asks the kernel for the sockets of one network namespace. */
#ifndef MIGRATE_OS_SOCK_DIAG_H
#define MIGRATE_OS_SOCK_DIAG_H

#include <netlink/socket.h>
#include <sys/types.h>

/**
 * sock_diag_connect() - @sock asks in the namespace of process @pid; 0: in that of the caller
 * Return: 0, or not 0, and @sock is not connected
 */
int sock_diag_connect(struct nl_sock *sock, pid_t pid);

#endif
