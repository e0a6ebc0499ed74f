/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which unix sockets of this machine have a server. Nobody is connected to: a server may take a connection
 * for a request, and one that is activated by its socket would be started.
 */
#ifndef MIGRATE_OS_UNIX_SERVERS_H
#define MIGRATE_OS_UNIX_SERVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct unix_server - a socket that takes connections, or datagrams
 * @name, @name_bytes, @file_ino: as in struct unix_sock
 * @here: in the network namespace of the one who asked; an abstract name is of one namespace
 */
struct unix_server {
	char *name;
	size_t name_bytes;
	int type;
	uint32_t file_ino;
	bool here;
};

/**
 * struct unix_servers - all of them
 * @here: of those that are being read
 * @unknown: the kernel does not tell (no module unix_diag)
 */
struct unix_servers {
	struct unix_server *list;
	size_t nr, cap;
	bool here, unknown;
};

/**
 * unix_servers_read() - of this network namespace and, where the caller may enter these, of the others:
 *	a path leads to a server in any of them
 *
 * The calling thread is in another network namespace afterwards, and the list stays until the process
 * ends: it is for a process that ends then.
 */
void unix_servers_read(struct unix_servers *servers);

/**
 * unix_servers_has() - a server of @type (SOCK_*) is at @name, a path or "@NAME"
 *
 * Where the kernel does not tell, there is one for each path that is a socket, and for each abstract name.
 */
bool unix_servers_has(const struct unix_servers *servers, const char *name, int type);

#endif
