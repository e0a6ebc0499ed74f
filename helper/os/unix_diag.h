/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_UNIX_DIAG_H
#define MIGRATE_OS_UNIX_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct unix_sock - one unix socket of this network namespace
 * @ino: as in "socket:[INO]"
 * @peer: inode of the connected socket; 0: none
 * @type: SOCK_*
 * @listens: it takes connections
 * @unread: bytes, or of a listening socket connections, that wait in it
 * @name: the address that it is bound to, @name_bytes of it and no final 0; an abstract one
 *	begins with 0. Of the callback only
 * @file_ino: inode of the file that the address names, 0: there is none
 */
struct unix_sock {
	uint32_t ino, peer;
	int type;
	bool listens;
	uint32_t unread;
	const char *name;
	size_t name_bytes;
	uint32_t file_ino;
};

typedef void (*unix_sock_fn)(void *ctx, const struct unix_sock *sock);

/** unix_diag_walk() - call the callback with each socket; -1: the kernel lacks unix_diag */
int unix_diag_walk(unix_sock_fn fn, void *ctx);
/** unix_diag_walk_in() - the sockets of the network namespace of @pid */
int unix_diag_walk_in(pid_t pid, unix_sock_fn fn, void *ctx);

#endif
