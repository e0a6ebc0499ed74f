// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/tls.h"

#define RECORD_HANDSHAKE	22	/* first byte of a TLS connection */

/** struct tls - @why: see tls_why() */
struct tls {
	gnutls_session_t session;
	const struct tls_words *words;
	const char *why;
};

struct tls *tls_new(int fd, unsigned int flags, const struct tls_words *words, struct error *err)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (!tls || gnutls_init(&tls->session, flags | GNUTLS_NO_SIGNAL)) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for a TLS connection");
		free(tls);
		return NULL;
	}
	tls->words = words;
	gnutls_transport_set_int(tls->session, fd);
	return tls;
}

gnutls_session_t tls_session(const struct tls *tls)
{
	return tls->session;
}

/* A TLS client speaks first, and so does one without TLS: GnuTLS would call its bytes a broken record. */
int tls_check_hello(int fd, int timeout_ms, const struct tls_words *words, struct error *err)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	unsigned char first;

	if (!poll(&pfd, 1, timeout_ms))
		return error_set(err, CODE_PEER, NULL, "%s said nothing for %d seconds",
				 words->other, timeout_ms / 1000);
	if (recv(fd, &first, 1, MSG_PEEK) != 1)
		return error_set(err, CODE_NETWORK, NULL, "%s hung up before it said anything",
				 words->other);
	if (first == RECORD_HANDSHAKE)
		return 0;
	return error_set(err, CODE_PEER, words->plain_hint, "%s", words->plain);
}

static int handshake_failed(struct tls *tls, int ret, int timeout_ms, struct error *err)
{
	switch (ret) {
	case GNUTLS_E_TIMEDOUT:
		return error_set(err, CODE_PEER, NULL, "the TLS handshake with %s took more than %d seconds",
				 tls->words->other, timeout_ms / 1000);
	case GNUTLS_E_NO_CERTIFICATE_FOUND:
	case GNUTLS_E_CERTIFICATE_REQUIRED:
		return error_set(err, CODE_PEER, tls->words->certificate_hint,
				 "%s has no certificate", tls->words->other);
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return error_set(err, CODE_PEER, tls->words->alert_hint,
				 "%s refuses the TLS handshake: %s", tls->words->other,
				 gnutls_alert_get_name(gnutls_alert_get(tls->session)) ?: "an unknown alert");
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
		return error_set(err, CODE_NETWORK, tls->words->hangup_hint,
				 "%s hung up in the TLS handshake", tls->words->other);
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
	case GNUTLS_E_NO_CIPHER_SUITES:
	case GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER:
		return error_set(err, CODE_PEER, tls->words->alert_hint, "the TLS handshake with %s failed: %s",
				 tls->words->other, gnutls_strerror(ret));
	default:
		return error_set(err, CODE_PEER, NULL, "the TLS handshake with %s failed: %s",
				 tls->words->other, gnutls_strerror(ret));
	}
}

int tls_shake_hands(struct tls *tls, int timeout_ms, struct error *err)
{
	int64_t end_ms = clock_now_ms() + timeout_ms;
	int ret;

	gnutls_handshake_set_timeout(tls->session, timeout_ms);
	do {
		ret = gnutls_handshake(tls->session);
		/* warnings of the other end are no failure; they come without end, if it likes */
		if (ret < 0 && !gnutls_error_is_fatal(ret) && clock_now_ms() > end_ms)
			ret = GNUTLS_E_TIMEDOUT;
	} while (ret < 0 && !gnutls_error_is_fatal(ret));
	if (!ret)
		return 0;
	gnutls_alert_send_appropriate(tls->session, ret);
	return handshake_failed(tls, ret, timeout_ms, err);
}

/** struct refusal - why a certificate is refused; the first that fits is told */
struct refusal {
	unsigned int status;
	const char *text, *hint;
};

static const struct refusal *find_refusal(const struct refusal *refusals, unsigned int status)
{
	while (!(refusals->status & status))
		refusals++;
	return refusals;
}

static int refuse_certificate(const struct tls_words *words, unsigned int status, struct error *err)
{
	const char *clocks = "look at the clocks of both machines";
	const struct refusal refusals[] = {
		{ GNUTLS_CERT_REVOKED, "it is revoked", NULL },
		{ GNUTLS_CERT_SIGNER_NOT_FOUND, "no authority that is trusted here has signed it",
		  words->authority_hint },
		{ GNUTLS_CERT_SIGNATURE_FAILURE, "its signature is not that of the authority that it names",
		  words->authority_hint },
		{ GNUTLS_CERT_EXPIRED, "it has expired", clocks },
		{ GNUTLS_CERT_NOT_ACTIVATED, "it is not valid yet", clocks },
		{ GNUTLS_CERT_UNEXPECTED_OWNER, words->name, words->name_hint },
		{ ~0U, "it is not valid", NULL },
	};
	const struct refusal *refusal = find_refusal(refusals, status);

	return error_set(err, CODE_PEER, refusal->hint, "the certificate of %s is refused: %s",
			 words->other, refusal->text);
}

int tls_check_certificate(struct tls *tls, const char *name, struct error *err)
{
	unsigned int status = 0;
	int ret = gnutls_certificate_verify_peers3(tls->session, name, &status);

	if (!ret && !status)
		return 0;
	gnutls_alert_send(tls->session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
	if (ret)
		return error_set(err, CODE_PEER, NULL, "cannot verify the certificate of %s: %s",
				 tls->words->other, gnutls_strerror(ret));
	return refuse_certificate(tls->words, status, err);
}

/* A connection that ends within a record counts as one that ends: GnuTLS calls the rest a bad length. */
static int call_failed(struct tls *tls, int ret)
{
	switch (ret) {
	case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
	case GNUTLS_E_TIMEDOUT:
		tls->why = NULL;
		errno = ECONNRESET;
		return -1;
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		tls->why = gnutls_alert_get_name(gnutls_alert_get(tls->session));
		break;
	default:
		tls->why = gnutls_strerror(ret);
	}
	errno = EBADMSG;
	return -1;
}

static bool is_short(ssize_t ret)
{
	return ret == GNUTLS_E_AGAIN || ret == GNUTLS_E_INTERRUPTED;
}

ssize_t tls_read(struct tls *tls, void *to, size_t bytes)
{
	ssize_t ret;

	do
		ret = gnutls_record_recv(tls->session, to, bytes);
	while (is_short(ret));
	return ret >= 0 ? ret : call_failed(tls, ret);
}

int tls_write(struct tls *tls, const void *from, size_t bytes)
{
	const char *at = from;

	while (bytes) {
		ssize_t ret = gnutls_record_send(tls->session, at, bytes);

		if (is_short(ret))
			continue;
		if (ret < 0)
			return call_failed(tls, ret);
		at += ret;
		bytes -= ret;
	}
	return 0;
}

ssize_t tls_try_read(struct tls *tls, void *to, size_t bytes)
{
	ssize_t ret = gnutls_record_recv(tls->session, to, bytes);

	if (is_short(ret))
		errno = EAGAIN;
	else if (ret < 0)
		return call_failed(tls, ret);
	return ret < 0 ? -1 : ret;
}

bool tls_has_more(const struct tls *tls)
{
	return gnutls_record_check_pending(tls->session);
}

ssize_t tls_try_write(struct tls *tls, const void *from, size_t bytes)
{
	ssize_t ret = gnutls_record_send(tls->session, from, bytes);

	if (is_short(ret))
		errno = EAGAIN;
	else if (ret < 0)
		return call_failed(tls, ret);
	return ret < 0 ? -1 : ret;
}

const char *tls_why(const struct tls *tls)
{
	return tls->why;
}

void tls_end(struct tls *tls, int timeout_ms)
{
	if (timeout_ms)
		gnutls_record_set_timeout(tls->session, timeout_ms);
	gnutls_bye(tls->session, timeout_ms ? GNUTLS_SHUT_RDWR : GNUTLS_SHUT_WR);
}

void tls_free(struct tls *tls)
{
	if (tls)
		gnutls_deinit(tls->session);
	free(tls);
}
