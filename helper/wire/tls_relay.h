/* SPDX-License-Identifier: GPL-2.0 */
/* TLS by this program, where the kernel does none: bytes between a socket of this machine and the connection. */
#ifndef MIGRATE_WIRE_TLS_RELAY_H
#define MIGRATE_WIRE_TLS_RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/tls.h"

/**
 * tls_relay_run() - relay until one side has ended
 * @plain: the socket of this machine. It ends when the connection does, however that was
 * @tcp: the connection; both sockets become non-blocking
 * @max_records: of one key
 * @rekeys: the other end takes new keys; else the connection ends when @max_records are written
 *
 * Return: 0, or -1 with @err when more than the end of a connection has ended it
 */
int tls_relay_run(struct tls *tls, int plain, int tcp, uint64_t max_records, bool rekeys, struct error *err);

#endif
