/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Certificates for the tests of TLS, made when they run. The unit tests and e2e/make_certs use this file: a failure
 * ends the program.
 */
#ifndef MIGRATE_TESTS_CERTIFICATES_H
#define MIGRATE_TESTS_CERTIFICATES_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CERT_YEAR	(365L * 24 * 60 * 60)

/** struct authority - one that signs certificates */
struct authority {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
};

static inline void cert_need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "certificates: cannot %s\n", what);
	abort();
}

static inline void cert_store(int dir_fd, const char *name, const gnutls_datum_t *pem)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cert_need(fd >= 0 && write(fd, pem->data, pem->size) == (ssize_t)pem->size, "write a file");
	close(fd);
	gnutls_free(pem->data);
}

static inline void cert_store_crt(int dir_fd, const char *name, gnutls_x509_crt_t crt)
{
	gnutls_datum_t pem;

	cert_need(!gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem), "export a certificate");
	cert_store(dir_fd, name, &pem);
}

static inline gnutls_x509_privkey_t cert_make_key(void)
{
	gnutls_x509_privkey_t key;

	cert_need(!gnutls_x509_privkey_init(&key) &&
		  !gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
						GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		  "make a key");
	return key;
}

/* Valid for a year before and after @middle. */
static inline gnutls_x509_crt_t cert_begin(gnutls_x509_privkey_t key, const char *name, unsigned char serial,
					   time_t middle)
{
	gnutls_x509_crt_t crt;

	cert_need(!gnutls_x509_crt_init(&crt) && !gnutls_x509_crt_set_version(crt, 3) &&
		  !gnutls_x509_crt_set_serial(crt, &serial, 1) && !gnutls_x509_crt_set_key(crt, key) &&
		  !gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, strlen(name)) &&
		  !gnutls_x509_crt_set_activation_time(crt, middle - CERT_YEAR) &&
		  !gnutls_x509_crt_set_expiration_time(crt, middle + CERT_YEAR), "fill a certificate in");
	return crt;
}

/** authority_make() - and store its certificate as @file in PEM */
static inline struct authority authority_make(int dir_fd, const char *file)
{
	struct authority ca = { .key = cert_make_key() };

	ca.crt = cert_begin(ca.key, file, 1, time(NULL));
	cert_need(!gnutls_x509_crt_set_basic_constraints(ca.crt, 1, -1) &&
		  !gnutls_x509_crt_set_key_usage(ca.crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN) &&
		  !gnutls_x509_crt_sign2(ca.crt, ca.crt, ca.key, GNUTLS_DIG_SHA256, 0),
		  "sign an authority's certificate");
	cert_store_crt(dir_fd, file, ca.crt);
	return ca;
}

static inline void authority_free(struct authority *ca)
{
	gnutls_x509_crt_deinit(ca->crt);
	gnutls_x509_privkey_deinit(ca->key);
}

/**
 * authority_sign() - make a certificate for @address and its key, as @crt_file and @key_file
 * @address: of IPv4, or a name
 * @serial: 2 or more, another one for each
 * @age: seconds by which the time of its validity lies back
 */
static inline void authority_sign(const struct authority *ca, int dir_fd, const char *crt_file,
				  const char *key_file, const char *address, unsigned char serial, long age)
{
	gnutls_x509_privkey_t key = cert_make_key();
	gnutls_x509_crt_t crt = cert_begin(key, address, serial, time(NULL) - age);
	struct in_addr ip;
	bool is_ip = inet_pton(AF_INET, address, &ip) == 1;
	gnutls_datum_t pem;

	cert_need(!gnutls_x509_crt_set_subject_alt_name(crt, is_ip ? GNUTLS_SAN_IPADDRESS : GNUTLS_SAN_DNSNAME,
							is_ip ? (void *)&ip : (void *)address,
							is_ip ? sizeof(ip) : strlen(address), 0) &&
		  !gnutls_x509_crt_sign2(crt, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0),
		  "sign a certificate");
	cert_store_crt(dir_fd, crt_file, crt);
	cert_need(!gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), "export a key");
	cert_store(dir_fd, key_file, &pem);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

/** authority_revoke() - store a list that revokes the certificate with the number @serial */
static inline void authority_revoke(const struct authority *ca, int dir_fd, const char *file,
				    unsigned char serial)
{
	gnutls_x509_crl_t crl;
	gnutls_datum_t pem;

	cert_need(!gnutls_x509_crl_init(&crl) && !gnutls_x509_crl_set_version(crl, 2) &&
		  !gnutls_x509_crl_set_crt_serial(crl, &serial, 1, time(NULL)) &&
		  !gnutls_x509_crl_set_this_update(crl, time(NULL) - 60) &&
		  !gnutls_x509_crl_set_next_update(crl, time(NULL) + CERT_YEAR) &&
		  !gnutls_x509_crl_sign2(crl, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0) &&
		  !gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &pem), "make a list of revoked certificates");
	cert_store(dir_fd, file, &pem);
	gnutls_x509_crl_deinit(crl);
}

#endif
