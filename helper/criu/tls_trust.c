// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "criu/tls_trust.h"

#define PKI_CACERT	"/etc/pki/CA/cacert.pem"
#define PKI_CACRL	"/etc/pki/CA/cacrl.pem"
#define PKI_CERT	"/etc/pki/criu/cert.pem"
#define PKI_KEY		"/etc/pki/criu/private/key.pem"

struct tls_trust {
	gnutls_certificate_credentials_t cred;
};

#define WORDS								\
	.plain = "the sender does not speak TLS, and this page server takes nothing else",	\
	.plain_hint = "give --tls to the criu that sends, too",		\
	.certificate_hint = "give it --tls-cert and --tls-key",		\
	.alert_hint = "its --tls-cacert must have the authority of this end's --tls-cert",	\
	.hangup_hint = "both ends need --tls",				\
	.authority_hint = "--tls-cacert says which authorities are trusted",	\
	.name = "it is for another name than that of --address",	\
	.name_hint = "--tls-no-cn-verify takes certificates of any name"

static const struct tls_words sender_words = { .other = "the sender", WORDS };
static const struct tls_words server_words = { .other = "the page server", WORDS };

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

static struct tls *begin(int fd, const struct tls_trust *trust, bool server, struct error *err)
{
	struct tls *tls = tls_new(fd, server ? GNUTLS_SERVER : GNUTLS_CLIENT,
				  server ? &sender_words : &server_words, err);

	if (!tls)
		return NULL;
	gnutls_set_default_priority(tls_session(tls));
	gnutls_credentials_set(tls_session(tls), GNUTLS_CRD_CERTIFICATE, trust->cred);
	if (server) {
		gnutls_certificate_server_set_request(tls_session(tls), GNUTLS_CERT_REQUIRE);
		/* names of authorities are nobody's business before the handshake */
		gnutls_certificate_send_x509_rdn_sequence(tls_session(tls), 1);
	}
	return tls;
}

static struct tls *finish(struct tls *tls, const char *name, int timeout_ms, struct error *err)
{
	if (!tls || (!tls_shake_hands(tls, timeout_ms, err) && !tls_check_certificate(tls, name, err)))
		return tls;
	tls_free(tls);
	return NULL;
}

struct tls *tls_accept(int fd, const struct tls_trust *trust, const char *name, int timeout_ms,
		       struct error *err)
{
	if (tls_check_hello(fd, timeout_ms, &sender_words, err))
		return NULL;
	return finish(begin(fd, trust, true, err), name, timeout_ms, err);
}

struct tls *tls_connect(int fd, const struct tls_trust *trust, const char *name, int timeout_ms,
			struct error *err)
{
	return finish(begin(fd, trust, false, err), name, timeout_ms, err);
}
