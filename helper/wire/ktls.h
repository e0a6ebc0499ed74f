/* SPDX-License-Identifier: GPL-2.0 */
/* A TCP socket whose TLS 1.3 the kernel makes, so that SEND stays by reference. It gets its keys by wire/ktls_keys.h. */
#ifndef MIGRATE_WIRE_KTLS_H
#define MIGRATE_WIRE_KTLS_H

#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * ktls_recv() - recv() that knows alerts
 *
 * Return: bytes; 0: the other end has closed TLS, or the connection; -1 with errno: EPROTO after any other record
 * that is no data, EBADMSG after one that was forged
 */
ssize_t ktls_recv(int fd, void *buf, size_t bytes, int flags);

/** ktls_close_notify() - tell the other end that nothing more comes; never waits for the socket */
void ktls_close_notify(int fd);

/** tls_max_records() - of one key, whether the kernel encrypts or not: 2^24, or MIGRATE_HELPER_TLS_RECORDS of a test's environment */
uint64_t tls_max_records(void);

/**
 * ktls_check_key() - the key of @fd can still encrypt @records
 *
 * Kernels before 6.14 take no second key. Return: 0, or -1 with @err
 */
int ktls_check_key(int fd, uint64_t records, struct error *err);

#endif
