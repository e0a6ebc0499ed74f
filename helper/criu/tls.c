// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "criu/tls.h"

#define PKI_CACERT	"/etc/pki/CA/cacert.pem"
#define PKI_CACRL	"/etc/pki/CA/cacrl.pem"
#define PKI_CERT	"/etc/pki/criu/cert.pem"
#define PKI_KEY		"/etc/pki/criu/private/key.pem"

#define RECORD_HANDSHAKE	22	/* first byte of a TLS connection; no page server's command has it */

struct tls_trust {
	gnutls_certificate_credentials_t cred;
};

/**
 * struct tls - a connection
 * @other: what errors call the other end
 * @why: see tls_why()
 */
struct tls {
	gnutls_session_t session;
	const char *other, *why;
};

static int load_failed(struct error *err, const char *option, const char *what, const char *file,
		       const char *why)
{
	char hint[128];

	snprintf(hint, sizeof(hint), "--tls-%s FILE says which file is used", option);
	return error_set(err, CODE_USAGE, hint, "cannot use %s %s: %s", what, file, why);
}

static int load_authorities(gnutls_certificate_credentials_t cred, const char *cacert,
			    struct error *err)
{
	const char *file = cacert ? cacert : PKI_CACERT;
	int ret;

	if (!cacert)
		gnutls_certificate_set_x509_system_trust(cred);
	if (access(file, R_OK))
		return cacert ? load_failed(err, "cacert", "the authority's certificate", file,
					    strerror(errno)) : 0;
	ret = gnutls_certificate_set_x509_trust_file(cred, file, GNUTLS_X509_FMT_PEM);
	return ret > 0 ? 0 : load_failed(err, "cacert", "the authority's certificate", file,
					 ret ? gnutls_strerror(ret) : "it has no certificate");
}

static int load_revoked(gnutls_certificate_credentials_t cred, const char *cacrl, struct error *err)
{
	const char *file = cacrl ? cacrl : PKI_CACRL;
	int ret;

	if (access(file, R_OK))
		return cacrl ? load_failed(err, "cacrl", "the list of revoked certificates", file,
					   strerror(errno)) : 0;
	ret = gnutls_certificate_set_x509_crl_file(cred, file, GNUTLS_X509_FMT_PEM);
	return ret >= 0 ? 0 : load_failed(err, "cacrl", "the list of revoked certificates", file,
					  gnutls_strerror(ret));
}

static int load_own(gnutls_certificate_credentials_t cred, const struct tls_files *files,
		    struct error *err)
{
	const char *cert = files->cert ? files->cert : PKI_CERT;
	const char *key = files->key ? files->key : PKI_KEY;
	int ret;

	if (access(cert, R_OK))
		return load_failed(err, "cert", "the certificate", cert, strerror(errno));
	if (access(key, R_OK))
		return load_failed(err, "key", "the private key", key, strerror(errno));
	ret = gnutls_certificate_set_x509_key_file(cred, cert, key, GNUTLS_X509_FMT_PEM);
	return ret >= 0 ? 0 : error_set(err, CODE_USAGE, "--tls-cert and --tls-key say which files are used",
					"cannot use the certificate %s with the private key %s: %s",
					cert, key, gnutls_strerror(ret));
}

struct tls_trust *tls_trust_load(const struct tls_files *files, struct error *err)
{
	struct tls_trust *trust = calloc(1, sizeof(*trust));

	if (!trust || gnutls_certificate_allocate_credentials(&trust->cred)) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for certificates");
		free(trust);
		return NULL;
	}
	if (!load_authorities(trust->cred, files->cacert, err) &&
	    !load_revoked(trust->cred, files->cacrl, err) && !load_own(trust->cred, files, err))
		return trust;
	tls_trust_free(trust);
	return NULL;
}

void tls_trust_free(struct tls_trust *trust)
{
	if (trust)
		gnutls_certificate_free_credentials(trust->cred);
	free(trust);
}

/* A TLS client speaks first, and so does a dump without TLS: GnuTLS would call its commands a broken record. */
static int check_hello(int fd, int timeout_ms, struct error *err)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	unsigned char first;

	if (!poll(&pfd, 1, timeout_ms))
		return error_set(err, CODE_PEER, NULL, "the sender said nothing for %d seconds",
				 timeout_ms / 1000);
	if (recv(fd, &first, 1, MSG_PEEK) != 1)
		return error_set(err, CODE_NETWORK, NULL, "the sender hung up before it said anything");
	if (first == RECORD_HANDSHAKE)
		return 0;
	return error_set(err, CODE_PEER, "give --tls to the criu that sends, too",
			 "the sender does not speak TLS, and this page server takes nothing else");
}

static int handshake_failed(struct tls *tls, int ret, int timeout_ms, struct error *err)
{
	switch (ret) {
	case GNUTLS_E_TIMEDOUT:
		return error_set(err, CODE_PEER, NULL, "the TLS handshake with %s took more than %d seconds",
				 tls->other, timeout_ms / 1000);
	case GNUTLS_E_NO_CERTIFICATE_FOUND:
	case GNUTLS_E_CERTIFICATE_REQUIRED:
		return error_set(err, CODE_PEER, "give it --tls-cert and --tls-key",
				 "%s has no certificate", tls->other);
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return error_set(err, CODE_PEER,
				 "its --tls-cacert must have the authority of this end's --tls-cert",
				 "%s refuses the TLS handshake: %s", tls->other,
				 gnutls_alert_get_name(gnutls_alert_get(tls->session)) ?: "an unknown alert");
	case GNUTLS_E_PREMATURE_TERMINATION:
	case GNUTLS_E_PULL_ERROR:
	case GNUTLS_E_PUSH_ERROR:
		return error_set(err, CODE_NETWORK, "both ends need --tls",
				 "%s hung up in the TLS handshake", tls->other);
	default:
		return error_set(err, CODE_PEER, NULL, "the TLS handshake with %s failed: %s",
				 tls->other, gnutls_strerror(ret));
	}
}

static int shake_hands(struct tls *tls, int timeout_ms, struct error *err)
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
static const struct refusal {
	unsigned int status;
	const char *text, *hint;
} refusals[] = {
	{ GNUTLS_CERT_REVOKED, "it is revoked", NULL },
	{ GNUTLS_CERT_SIGNER_NOT_FOUND, "no authority that is trusted here has signed it",
	  "--tls-cacert says which authorities are trusted" },
	{ GNUTLS_CERT_SIGNATURE_FAILURE, "its signature is not that of the authority that it names",
	  "--tls-cacert says which authorities are trusted" },
	{ GNUTLS_CERT_EXPIRED, "it has expired", "look at the clocks of both machines" },
	{ GNUTLS_CERT_NOT_ACTIVATED, "it is not valid yet", "look at the clocks of both machines" },
	{ GNUTLS_CERT_UNEXPECTED_OWNER, "it is for another name than that of --address",
	  "--tls-no-cn-verify takes certificates of any name" },
	{ ~0U, "it is not valid", NULL },
};

static int check_certificate(struct tls *tls, const char *name, struct error *err)
{
	const struct refusal *refusal = refusals;
	unsigned int status = 0;
	int ret = gnutls_certificate_verify_peers3(tls->session, name, &status);

	if (!ret && !status)
		return 0;
	gnutls_alert_send(tls->session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
	if (ret)
		return error_set(err, CODE_PEER, NULL, "cannot verify the certificate of %s: %s",
				 tls->other, gnutls_strerror(ret));
	while (!(refusal->status & status))
		refusal++;
	return error_set(err, CODE_PEER, refusal->hint, "the certificate of %s is refused: %s",
			 tls->other, refusal->text);
}

static struct tls *begin(int fd, const struct tls_trust *trust, bool server, struct error *err)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	unsigned int flags = (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NO_SIGNAL;

	if (!tls || gnutls_init(&tls->session, flags)) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for a TLS connection");
		free(tls);
		return NULL;
	}
	tls->other = server ? "the sender" : "the page server";
	gnutls_set_default_priority(tls->session);
	gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, trust->cred);
	gnutls_transport_set_int(tls->session, fd);
	if (server) {
		gnutls_certificate_server_set_request(tls->session, GNUTLS_CERT_REQUIRE);
		/* names of authorities are nobody's business before the handshake */
		gnutls_certificate_send_x509_rdn_sequence(tls->session, 1);
	}
	return tls;
}

static struct tls *finish(struct tls *tls, const char *name, int timeout_ms, struct error *err)
{
	if (!tls || (!shake_hands(tls, timeout_ms, err) && !check_certificate(tls, name, err)))
		return tls;
	tls_free(tls);
	return NULL;
}

struct tls *tls_accept(int fd, const struct tls_trust *trust, const char *name, int timeout_ms,
		       struct error *err)
{
	if (check_hello(fd, timeout_ms, err))
		return NULL;
	return finish(begin(fd, trust, true, err), name, timeout_ms, err);
}

struct tls *tls_connect(int fd, const struct tls_trust *trust, const char *name, int timeout_ms,
			struct error *err)
{
	return finish(begin(fd, trust, false, err), name, timeout_ms, err);
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
