/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One TLS connection by GnuTLS, whatever proves who the ends are: handshake, certificate of the other end, bytes.
 *
 * No text of the other end gets into an error: errors have the library's own words.
 */
#ifndef MIGRATE_BASE_TLS_H
#define MIGRATE_BASE_TLS_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * struct tls_words - how errors call the other end, and the user's options
 * @other: the other end, as "the sender"
 * @plain: the whole error when the other end speaks no TLS; @plain_hint: and what to do
 * @certificate_hint: the other end has no certificate
 * @alert_hint: the other end refuses the handshake
 * @hangup_hint: the other end hung up in the handshake
 * @authority_hint: no trusted authority has signed the other end's certificate
 * @name: what is wrong with a certificate of another name; @name_hint: and what to do
 */
struct tls_words {
	const char *other, *plain, *plain_hint, *certificate_hint, *alert_hint, *hangup_hint,
		   *authority_hint, *name, *name_hint;
};

/** struct tls - one connection; used by one thread at a time */
struct tls;

/**
 * tls_new() - before the handshake
 * @fd: a stream socket, which stays the caller's
 * @flags: of gnutls_init()
 * @words: kept
 * Return: NULL with @err
 */
struct tls *tls_new(int fd, unsigned int flags, const struct tls_words *words, struct error *err);

/** tls_session() - for credentials and priorities */
gnutls_session_t tls_session(const struct tls *tls);

/**
 * tls_check_hello() - a server's look at the first byte, so that a client without TLS is told apart
 * @timeout_ms: for that byte; 0: it is there, or the connection has ended
 */
int tls_check_hello(int fd, int timeout_ms, const struct tls_words *words, struct error *err);

/** tls_shake_hands() - the handshake on a blocking socket, within @timeout_ms; -1 with @err, and the other end is told */
int tls_shake_hands(struct tls *tls, int timeout_ms, struct error *err);

/** tls_check_certificate() - the other end's certificate, for @name (NULL: any); -1 as tls_shake_hands() */
int tls_check_certificate(struct tls *tls, const char *name, struct error *err);

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
