/* SPDX-License-Identifier: GPL-2.0 */
/* The proofs of both ends, in the process of a TLS connection: keys as GnuTLS wants them, and who the other end is. */
#ifndef MIGRATE_WIRE_TLS_PROOF_H
#define MIGRATE_WIRE_TLS_PROOF_H

#include "base/tls.h"
#include "wire/tls_keys.h"

#define TLS_TEXT_MAX	65536	/* bytes of a file */

/**
 * struct tls_proof - this end's keys
 * @texts: of the files that were there, by enum tls_file; else NULL
 */
struct tls_proof {
	enum tls_proof_kind kind;
	bool server;
	char *texts[TLS_FILES];
	gnutls_psk_client_credentials_t psk_client;
	gnutls_psk_server_credentials_t psk_server;
	gnutls_certificate_credentials_t certificate;
};

/** tls_proof_load() - read the files at @fds (-1: none), and make credentials of them */
int tls_proof_load(struct tls_proof *proof, const int fds[TLS_FILES], struct error *err);

/** tls_proof_set() - credentials and priorities of a new session: TLS 1.3, ciphers that the kernel has */
int tls_proof_set(struct tls_proof *proof, struct tls *tls, struct error *err);

/**
 * tls_proof_check() - after the handshake: the other end's certificate, and whether --allow has it
 * @host: name or address that this end has called; NULL: it was called
 * @name: filled with the other end's name, as far as it is known; printable
 * @words: TLS_RULE_BYTES, filled with what --allow says behind it
 */
int tls_proof_check(struct tls_proof *proof, struct tls *tls, const char *host, char *name,
		    size_t size, char *words, struct error *err);

#endif
