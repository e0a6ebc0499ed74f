// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/text.h"
#include "wire/tls_allow.h"
#include "wire/tls_proof.h"

#define PSK_MIN_BYTES	32
#define PSK_MAX_BYTES	64
#define IDENTITY_MAX	64

/* Groups of large numbers would cost this end as much as a stranger likes. */
#define PRIORITIES	"NONE:+VERS-TLS1.3:+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM:+AEAD:" \
			"+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+SIGN-ALL:+SHA256:+SHA384:"
#define PSK_PRIORITIES		PRIORITIES "+ECDHE-PSK"
#define CERT_PRIORITIES		PRIORITIES "+ECDHE-ECDSA:+ECDHE-RSA:+CTYPE-X509"

static int read_text(int fd, char **text, struct error *err)
{
	size_t bytes = 0;
	ssize_t n;

	*text = calloc(1, TLS_TEXT_MAX + 1);
	if (!*text)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for keys");
	while (bytes < TLS_TEXT_MAX && (n = pread(fd, *text + bytes, TLS_TEXT_MAX - bytes, bytes)) > 0)
		bytes += n;
	if (bytes && bytes < TLS_TEXT_MAX)
		return 0;
	return error_set(err, CODE_NOT_READY, NULL, "a file of keys for TLS is %s",
			 bytes ? "too long" : "empty");
}

/** struct psk - a line "IDENTITY:HEX" of the file */
struct psk {
	char identity[IDENTITY_MAX];
	gnutls_datum_t key;	/* owned */
};

/* Return: 0, or -1: the line is no key */
static int parse_psk(const char *line, size_t bytes, struct psk *psk)
{
	const char *colon = memchr(line, ':', bytes);
	size_t len = colon ? (size_t)(colon - line) : 0;
	gnutls_datum_t hex;

	if (!len || len >= sizeof(psk->identity))
		return -1;
	memcpy(psk->identity, line, len);
	psk->identity[len] = 0;
	hex = (gnutls_datum_t){ .data = (void *)(colon + 1), .size = bytes - len - 1 };
	if (gnutls_hex_decode2(&hex, &psk->key))
		return -1;
	if (psk->key.size >= PSK_MIN_BYTES && psk->key.size <= PSK_MAX_BYTES)
		return 0;
	gnutls_free(psk->key.data);
	return -1;
}

/*
 * The key of @identity (NULL: the first one).
 * Return: 1; 0: there is none; -1: the line of it is wrong
 */
static int find_psk(const char *text, const char *identity, size_t identity_bytes, struct psk *psk)
{
	const char *at = NULL, *line;
	size_t bytes;

	while ((line = tls_line_next(text, &at, &bytes))) {
		if (identity && (bytes <= identity_bytes || line[identity_bytes] != ':' ||
				 memcmp(line, identity, identity_bytes)))
			continue;
		return parse_psk(line, bytes, psk) ? -1 : 1;
	}
	return 0;
}

/* GnuTLS asks for the key of an identity that a client claims to have. */
static int give_psk(gnutls_session_t session, const gnutls_datum_t *identity, gnutls_datum_t *key)
{
	struct tls_proof *proof = gnutls_session_get_ptr(session);
	struct psk psk;

	if (!identity->size ||
	    find_psk(proof->texts[TLS_FILE_PSK], (char *)identity->data, identity->size, &psk) != 1)
		return -1;
	*key = psk.key;
	return 0;
}

static int load_psk(struct tls_proof *proof, struct error *err)
{
	struct psk psk = { 0 };
	int ret;

	if (find_psk(proof->texts[TLS_FILE_PSK], NULL, 0, &psk) != 1)
		return error_set(err, CODE_NOT_READY, "\"migrate-helper keygen --psk FILE\" makes one",
				 "the file of pre-shared keys has no line IDENTITY:KEY with a key of %d to %d bytes in hexadecimal digits",
				 PSK_MIN_BYTES, PSK_MAX_BYTES);
	if (proof->server) {
		ret = gnutls_psk_allocate_server_credentials(&proof->psk_server);
		if (!ret)
			gnutls_psk_set_server_credentials_function2(proof->psk_server, give_psk);
	} else {
		ret = gnutls_psk_allocate_client_credentials(&proof->psk_client);
		if (!ret)
			ret = gnutls_psk_set_client_credentials(proof->psk_client, psk.identity,
								&psk.key, GNUTLS_PSK_KEY_RAW);
	}
	gnutls_free(psk.key.data);
	return ret ? error_set(err, CODE_NOT_READY, NULL, "cannot use the pre-shared key: %s",
			       gnutls_strerror(ret)) : 0;
}

static gnutls_datum_t datum(const char *text)
{
	return (gnutls_datum_t){ .data = (void *)text, .size = strlen(text) };
}

static int load_certificate(struct tls_proof *proof, struct error *err)
{
	gnutls_datum_t cert = datum(proof->texts[TLS_FILE_CERT]), key = datum(proof->texts[TLS_FILE_KEY]),
		       ca = datum(proof->texts[TLS_FILE_CA]);
	int ret = gnutls_certificate_allocate_credentials(&proof->certificate);

	if (ret)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for certificates");
	ret = gnutls_certificate_set_x509_trust_mem(proof->certificate, &ca, GNUTLS_X509_FMT_PEM);
	if (ret <= 0)
		return error_set(err, CODE_NOT_READY, NULL, "cannot use " TLS_CA_NAME ": %s",
				 ret ? gnutls_strerror(ret) : "it has no certificate");
	ret = gnutls_certificate_set_x509_key_mem(proof->certificate, &cert, &key, GNUTLS_X509_FMT_PEM);
	return ret < 0 ? error_set(err, CODE_NOT_READY, NULL,
				   "cannot use " TLS_CERT_NAME " with " TLS_KEY_NAME ": %s",
				   gnutls_strerror(ret)) : 0;
}

int tls_proof_load(struct tls_proof *proof, const int fds[TLS_FILES], struct error *err)
{
	for (size_t i = 0; i < TLS_FILES; i++)
		if (fds[i] >= 0 && read_text(fds[i], &proof->texts[i], err))
			return -1;
	return proof->kind == TLS_PSK ? load_psk(proof, err) : load_certificate(proof, err);
}

int tls_proof_set(struct tls_proof *proof, struct tls *tls, struct error *err)
{
	gnutls_session_t session = tls_session(tls);
	bool psk = proof->kind == TLS_PSK;
	int ret = gnutls_priority_set_direct(session, psk ? PSK_PRIORITIES : CERT_PRIORITIES, NULL);

	gnutls_session_set_ptr(session, proof);
	if (!ret && !psk)
		ret = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, proof->certificate);
	else if (!ret)
		ret = gnutls_credentials_set(session, GNUTLS_CRD_PSK, proof->server ?
					     (void *)proof->psk_server : (void *)proof->psk_client);
	if (ret)
		return error_set(err, CODE_NOT_READY, NULL, "cannot begin TLS: %s", gnutls_strerror(ret));
	if (proof->server && !psk) {
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
		/* names of authorities are nobody's business before the handshake */
		gnutls_certificate_send_x509_rdn_sequence(session, 1);
	}
	return 0;
}

/* The first name that the other end's certificate is for, or that of its owner. */
static void name_of(gnutls_x509_crt_t crt, char *name, size_t size)
{
	char raw[256];
	size_t bytes = sizeof(raw);

	if (gnutls_x509_crt_get_subject_alt_name(crt, 0, raw, &bytes, NULL) != GNUTLS_SAN_DNSNAME) {
		bytes = sizeof(raw);
		if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, raw, &bytes))
			bytes = 0;
	}
	raw[bytes < sizeof(raw) ? bytes : sizeof(raw) - 1] = 0;
	text_printable(name, size, raw);
}

static gnutls_x509_crt_t certificate_of(struct tls *tls)
{
	unsigned int nr = 0;
	const gnutls_datum_t *list = gnutls_certificate_get_peers(tls_session(tls), &nr);
	gnutls_x509_crt_t crt;

	if (!nr || gnutls_x509_crt_init(&crt))
		return NULL;
	if (!gnutls_x509_crt_import(crt, &list[0], GNUTLS_X509_FMT_DER))
		return crt;
	gnutls_x509_crt_deinit(crt);
	return NULL;
}

int tls_proof_check(struct tls_proof *proof, struct tls *tls, const char *host, char *name,
		    size_t size, char *words, struct error *err)
{
	const char *allow = proof->texts[TLS_FILE_ALLOW], *identity = NULL;
	gnutls_x509_crt_t crt = NULL;
	bool allowed;

	if (proof->kind == TLS_CERTIFICATE) {
		if (tls_check_certificate(tls, host, err))
			return -1;
		crt = certificate_of(tls);
		if (crt)
			name_of(crt, name, size);
	} else if (proof->server) {
		identity = gnutls_psk_server_get_username(tls_session(tls));
		text_printable(name, size, identity ?: "");
	}
	allowed = !allow || tls_allow_find(allow, identity, crt, words);
	gnutls_x509_crt_deinit(crt);
	if (allowed)
		return 0;
	gnutls_alert_send(tls_session(tls), GNUTLS_AL_FATAL, GNUTLS_A_ACCESS_DENIED);
	return error_set(err, CODE_PEER, NULL, "\"%s\" is not in the list of --allow", name);
}
