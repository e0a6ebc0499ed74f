/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_UNIX_DIAG_H
#define MIGRATE_OS_UNIX_DIAG_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct unix_sock - one unix socket of this network namespace
 * @ino: as in "socket:[INO]"
 * @peer: inode of the connected socket; 0: none
 * @type: SOCK_*
 * @unread: bytes that wait in the socket; of a listening socket, connections
 * @name: address of the socket: @name_bytes bytes without a final 0. An abstract address begins
 *	with 0. Valid during the callback only
 * @file_ino: inode of the file that the address names; 0: none
 */
struct unix_sock {
	uint32_t ino, peer;
	int type;
	uint32_t unread;
	const char *name;
	size_t name_bytes;
	uint32_t file_ino;
};

typedef void (*unix_sock_fn)(void *ctx, const struct unix_sock *sock);

/** unix_diag_walk() - call the callback with each socket; -1: the kernel lacks unix_diag */
int unix_diag_walk(unix_sock_fn fn, void *ctx);

#endif
