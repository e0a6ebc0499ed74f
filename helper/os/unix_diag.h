/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_UNIX_DIAG_H
#define MIGRATE_OS_UNIX_DIAG_H

#include <stdint.h>

/**
 * typedef unix_sock_fn - one unix socket of this network namespace
 * @ino: as in "socket:[INO]"
 * @peer: inode of the socket it is connected to, 0: none
 * @type: SOCK_*
 */
typedef void (*unix_sock_fn)(void *ctx, uint32_t ino, uint32_t peer, int type);

/** unix_diag_walk() - all of them; -1: the kernel does not tell (no module unix_diag) */
int unix_diag_walk(unix_sock_fn fn, void *ctx);

#endif
