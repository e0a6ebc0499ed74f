/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TLS of CRIU's page connections: GnuTLS with X.509 certificates, which both ends show and verify.
 *
 * The rules are those of CRIU's own --tls. The other end's certificate must be signed by an authority of
 * --tls-cacert; without that option the system's authorities count, too. Both ends compare the certificate
 * with the address of --address, unless they were told not to. The handshake comes before the first command.
 *
 * No text of the other end gets into an error: errors have the library's own words.
 */
#ifndef MIGRATE_CRIU_TLS_H
#define MIGRATE_CRIU_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"

/** struct tls_files - PEM files; NULL: CRIU's default path */
struct tls_files {
	const char *cacert, *cacrl, *cert, *key;
};

/** struct tls_trust - this end's certificate, and whom it trusts; any number of connections share it */
struct tls_trust;

/** tls_trust_load() - Return: NULL with @err, which names the file and its option */
struct tls_trust *tls_trust_load(const struct tls_files *files, struct error *err);
void tls_trust_free(struct tls_trust *trust);

/** struct tls - one connection; used by one thread at a time */
struct tls;

/**
 * tls_accept() - the server's handshake
 * @fd: a blocking stream socket, which stays the caller's. shutdown() of it ends the call
 * @name: name or address that the other end's certificate must have; NULL: any
 * @timeout_ms: for the whole handshake
 * Return: NULL with @err
 */
struct tls *tls_accept(int fd, const struct tls_trust *trust, const char *name, int timeout_ms,
		       struct error *err);

/** tls_connect() - the client's handshake; as tls_accept() */
struct tls *tls_connect(int fd, const struct tls_trust *trust, const char *name, int timeout_ms,
			struct error *err);

/** tls_read() - what has come. Return: number of bytes; 0 when the other end has ended TLS; -1 with errno */
ssize_t tls_read(struct tls *tls, void *to, size_t bytes);

/** tls_try_read() - tls_read() of a non-blocking socket: -1 with EAGAIN when no whole record is there */
ssize_t tls_try_read(struct tls *tls, void *to, size_t bytes);

/** tls_has_more() - tls_try_read() has bytes for which the socket does not become readable any more */
bool tls_has_more(const struct tls *tls);

/**
 * tls_try_write() - write to a non-blocking socket
 *
 * Return: bytes that are written; -1 with errno. After EAGAIN the next call begins with the same bytes; it may have more.
 */
ssize_t tls_try_write(struct tls *tls, const void *from, size_t bytes);

/** tls_write() - write all, in records of 16 KiB from @from on; 0, or -1 with errno */
int tls_write(struct tls *tls, const void *from, size_t bytes);

/** tls_why() - the library's words for the failure of the last call; NULL: the connection itself failed */
const char *tls_why(const struct tls *tls);

/**
 * tls_end() - tell the other end that nothing more comes
 * @timeout_ms: wait so long for the same word of the other end; 0: do not wait
 */
void tls_end(struct tls *tls, int timeout_ms);
void tls_free(struct tls *tls);

#endif
