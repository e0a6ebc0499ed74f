/* SPDX-License-Identifier: GPL-2.0 */
/* The network addresses and ports that the program's sockets are bound to, for Setup. */
#ifndef MIGRATE_SOURCE_ADDRESSES_H
#define MIGRATE_SOURCE_ADDRESSES_H

#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"
#include "os/proc_files.h"
#include "wire/control.h"

#define ADDRESSES_MAX	1024	/* more are not asked about; CRIU finds out in the end */

/** struct addresses - each address and port once. Zeroed is empty */
struct addresses {
	Migrate__InetAddress *items, **list;
	size_t nr;
};

/**
 * addresses_find() - find the addresses of listening sockets, and of bound ones without connection
 *
 * A socket that may be bound to an address which no interface has is left out.
 * Return: 0, or -1 with @err; free with addresses_free() in either case
 */
int addresses_find(const struct proc_files *files, struct addresses *all, struct error *err);
void addresses_free(struct addresses *all);

#endif
