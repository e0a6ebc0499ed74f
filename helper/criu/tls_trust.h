/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TLS of CRIU's page connections: GnuTLS with X.509 certificates, which both ends show and verify.
 *
 * The rules are those of CRIU's own --tls. The other end's certificate must be signed by an authority of
 * --tls-cacert; without that option the system's authorities count, too. Both ends compare the certificate
 * with the address of --address, unless they were told not to. The handshake comes before the first command.
 */
#ifndef MIGRATE_CRIU_TLS_TRUST_H
#define MIGRATE_CRIU_TLS_TRUST_H

#include "base/tls.h"

/** struct tls_files - PEM files; NULL: CRIU's default path */
struct tls_files {
	const char *cacert, *cacrl, *cert, *key;
};

/** struct tls_trust - this end's certificate, and whom it trusts; any number of connections share it */
struct tls_trust;

/** tls_trust_load() - Return: NULL with @err, which names the file and its option */
struct tls_trust *tls_trust_load(const struct tls_files *files, struct error *err);
void tls_trust_free(struct tls_trust *trust);

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

#endif
