/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TLS of one connection. The handshake runs in a process of its own (wire/tls_process.h), which is this program
 * executed once more: the bytes of a stranger reach its memory, and no other. When the kernel can encrypt, the process
 * gives it the keys and ends, and the connection is the TCP socket itself. Otherwise the process stays, encrypts and
 * decrypts, and the connection is a UNIX socket to it.
 */
#ifndef MIGRATE_WIRE_TLS_LINK_H
#define MIGRATE_WIRE_TLS_LINK_H

#include <sys/types.h>
#include "wire/conn.h"
#include "wire/tls_keys.h"
#include "wire/tls_peer.h"

/**
 * struct tls_link - a handshake that goes on; zeroed: none
 * @process: pidfd of its process, which somebody else may reap; 0: none
 * @sock: from which its outcome comes
 * @pair: the connection, if the kernel does not encrypt
 */
struct tls_link {
	int process, sock, pair;
};

/** tls_link_check_hello() - the first byte that a caller has sent, which is left there; -1 with @err: no TLS */
int tls_link_check_hello(int fd, struct error *err);

/**
 * tls_link_start() - start a handshake
 * @fd: a TCP socket, which stays the caller's
 * @server: this end was called
 * @host: the name or address that this end has called; NULL when it was called, or another program has opened @fd
 */
int tls_link_start(struct tls_link *link, int fd, bool server, const char *host,
		   const struct tls_keys *keys, struct error *err);

/**
 * tls_link_finish() - the outcome, when @link->sock is readable or within @timeout_ms
 * @conn: its fd is the TCP socket, owned. It becomes the connection after a handshake that succeeded
 *
 * Ends @link. Return: 0; or -1 with @err, and @conn is as before
 */
int tls_link_finish(struct tls_link *link, int timeout_ms, struct conn *conn,
		    struct tls_peer *peer, struct error *err);

/**
 * tls_link_open() - tls_link_connect() of @conn, which is not open, and says its kind and number
 */
int tls_link_open(struct conn *conn, const char *where, const uint8_t *id, const struct tls_keys *keys,
		  struct tls_peer *peer, struct error *err);

/**
 * tls_link_connect() - connect to @where, with TLS unless @keys say none, and send the preamble
 * @id: CONN_ID_BYTES of the migration
 * @peer: filled after TLS
 */
int tls_link_connect(struct conn *conn, const char *where, enum conn_kind kind, const uint8_t *id,
		     const struct tls_keys *keys, struct tls_peer *peer, struct error *err);

/**
 * tls_link_over() - tls_link_open() over a connection that another program has opened
 * @fd: owned, also after a failure. No name of the other end is compared: its key, or authority, and --allow say who it may be
 */
int tls_link_over(struct conn *conn, int fd, const uint8_t *id, const struct tls_keys *keys, struct tls_peer *peer,
		  struct error *err);

/**
 * tls_link_check_same() - both connections lead to the same key or certificate
 *
 * Of several machines at one name, or behind descriptors, each may have a certificate that fits.
 */
int tls_link_check_same(const struct tls_peer *first, const struct tls_peer *other, struct error *err);

/** tls_link_check_unlimited() - --allow says nothing behind the name of a destination: that would limit what a source sends */
int tls_link_check_unlimited(const struct tls_peer *peer, struct error *err);

/** tls_link_cancel() - kill the process of a handshake, if there is one */
void tls_link_cancel(struct tls_link *link);

#endif
