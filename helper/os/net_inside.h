/* SPDX-License-Identifier: GPL-2.0 */
/* Work in the network namespace of another process: a socket that is made there stays there. */
#ifndef MIGRATE_OS_NET_INSIDE_H
#define MIGRATE_OS_NET_INSIDE_H

#include <sys/types.h>

/**
 * net_inside() - call @fn in the network namespace of process @pid; this thread alone is there meanwhile
 * Return: what @fn returns; -1 when the namespace cannot be entered
 */
int net_inside(pid_t pid, int (*fn)(void *ctx), void *ctx);

#endif
