// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/io.h"
#include "os/safe_dir.h"
#include "wire/keygen.h"
#include "wire/tls_keys.h"

#define PSK_BYTES	32
#define SERIAL_BYTES	16
#define CA_NAME_BYTES	4
#define NAME_MAX_BYTES	253
#define CA_DAYS		3650
#define DAY_S		(24L * 60 * 60)
#define SKEW_S		3600	/* the other machine's clock may be behind */

/** struct pair - a certificate and its private key */
struct pair {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
};

static int failed(struct error *err, const char *what, int ret)
{
	return error_set(err, CODE_INTERNAL, NULL, "cannot %s: %s", what, gnutls_strerror(ret));
}

static int write_new(int dir_fd, const char *name, mode_t mode, const void *data, size_t bytes,
		     struct error *err)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return error_errno(err, CODE_NOT_READY, errno == EEXIST ?
				   "remove it first, if nothing uses it any more" : NULL,
				   "cannot make %s", name);
	if (io_write_all(fd, data, bytes) || fsync(fd)) {
		error_errno(err, CODE_NOT_READY, NULL, "cannot write %s", name);
		close(fd);
		unlinkat(dir_fd, name, 0);
		return -1;
	}
	close(fd);
	return 0;
}

static bool is_identity(const char *text)
{
	size_t len = strlen(text);

	if (!len || len > 63)
		return false;
	while (*text && (isalnum((unsigned char)*text) || strchr("-_.@", *text)))
		text++;
	return !*text;
}

int keygen_psk(const char *path, const char *identity, struct error *err)
{
	unsigned char key[PSK_BYTES];
	char line[256];
	int len, ret;

	if (!is_identity(identity))
		return error_set(err, CODE_USAGE, "use letters, digits and -_.@, at most 63",
				 "\"%.80s\" is no name for a key", identity);
	ret = gnutls_rnd(GNUTLS_RND_KEY, key, sizeof(key));
	if (ret)
		return failed(err, "make a key", ret);
	len = snprintf(line, sizeof(line), "%s:", identity);
	for (size_t i = 0; i < sizeof(key); i++)
		len += snprintf(line + len, sizeof(line) - len, "%02x", key[i]);
	line[len++] = '\n';
	ret = write_new(AT_FDCWD, path, 0600, line, len, err);
	explicit_bzero(line, sizeof(line));
	explicit_bzero(key, sizeof(key));
	return ret;
}

static int begin_certificate(struct pair *pair, const char *name, unsigned long days)
{
	unsigned char serial[SERIAL_BYTES];
	time_t now = time(NULL);
	int ret = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	/* a positive number */
	serial[0] &= 0x7f;
	ret = ret ?: gnutls_x509_privkey_init(&pair->key);
	ret = ret ?: gnutls_x509_privkey_generate(pair->key, GNUTLS_PK_ECDSA,
						  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	ret = ret ?: gnutls_x509_crt_init(&pair->crt);
	ret = ret ?: gnutls_x509_crt_set_version(pair->crt, 3);
	ret = ret ?: gnutls_x509_crt_set_serial(pair->crt, serial, sizeof(serial));
	ret = ret ?: gnutls_x509_crt_set_key(pair->crt, pair->key);
	ret = ret ?: gnutls_x509_crt_set_dn_by_oid(pair->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						   strnlen(name, 64));
	ret = ret ?: gnutls_x509_crt_set_activation_time(pair->crt, now - SKEW_S);
	return ret ?: gnutls_x509_crt_set_expiration_time(pair->crt, now + (time_t)days * DAY_S);
}

static void pair_free(struct pair *pair)
{
	if (pair->crt)
		gnutls_x509_crt_deinit(pair->crt);
	if (pair->key)
		gnutls_x509_privkey_deinit(pair->key);
}

static int store_key(int dir_fd, const char *name, gnutls_x509_privkey_t key, struct error *err)
{
	gnutls_datum_t pem;
	int ret = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem);

	if (ret)
		return failed(err, "export a key", ret);
	ret = write_new(dir_fd, name, 0600, pem.data, pem.size, err);
	explicit_bzero(pem.data, pem.size);
	gnutls_free(pem.data);
	return ret;
}

static int store_crt(int dir_fd, const char *name, gnutls_x509_crt_t crt, struct error *err)
{
	gnutls_datum_t pem;
	int ret = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);

	if (ret)
		return failed(err, "export a certificate", ret);
	ret = write_new(dir_fd, name, 0644, pem.data, pem.size, err);
	gnutls_free(pem.data);
	return ret;
}

static int make_authority(int dir_fd, struct pair *ca, struct error *err)
{
	unsigned char random[CA_NAME_BYTES];
	char name[64];
	int ret = gnutls_rnd(GNUTLS_RND_NONCE, random, sizeof(random));

	/* of two authorities with one name a certificate's own could not be told */
	snprintf(name, sizeof(name), "migrate-helper authority %02x%02x%02x%02x", random[0], random[1],
		 random[2], random[3]);
	ret = ret ?: begin_certificate(ca, name, CA_DAYS);
	ret = ret ?: gnutls_x509_crt_set_basic_constraints(ca->crt, 1, 0);
	ret = ret ?: gnutls_x509_crt_set_key_usage(ca->crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	ret = ret ?: gnutls_x509_crt_sign2(ca->crt, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0);
	if (ret)
		return failed(err, "make an authority", ret);
	return store_key(dir_fd, KEYGEN_CA_KEY, ca->key, err) ||
	       store_crt(dir_fd, TLS_CA_NAME, ca->crt, err) ? -1 : 0;
}

static int read_pem(int dir_fd, const char *name, gnutls_datum_t *pem, struct error *err)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	static char text[65536];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return error_errno(err, CODE_NOT_READY, NULL, "cannot read %s", name);
	*pem = (gnutls_datum_t){ .data = (void *)text, .size = n };
	return 0;
}

static int load_authority(int dir_fd, struct pair *ca, struct error *err)
{
	gnutls_datum_t pem;
	int ret;

	if (read_pem(dir_fd, TLS_CA_NAME, &pem, err))
		return -1;
	ret = gnutls_x509_crt_init(&ca->crt);
	ret = ret ?: gnutls_x509_crt_import(ca->crt, &pem, GNUTLS_X509_FMT_PEM);
	if (ret)
		return failed(err, "use " TLS_CA_NAME, ret);
	if (read_pem(dir_fd, KEYGEN_CA_KEY, &pem, err))
		return -1;
	ret = gnutls_x509_privkey_init(&ca->key);
	ret = ret ?: gnutls_x509_privkey_import(ca->key, &pem, GNUTLS_X509_FMT_PEM);
	explicit_bzero(pem.data, pem.size);
	return ret ? failed(err, "use " KEYGEN_CA_KEY, ret) : 0;
}

/* A name of the host, or an address. */
static int add_name(gnutls_x509_crt_t crt, const char *name)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, name, address) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address,
							    sizeof(struct in_addr), GNUTLS_FSAN_APPEND);
	if (inet_pton(AF_INET6, name, address) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address,
							    sizeof(address), GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, strlen(name),
						    GNUTLS_FSAN_APPEND);
}

static bool is_host(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > NAME_MAX_BYTES || *name == '.' || *name == '-')
		return false;
	while (*name && (isalnum((unsigned char)*name) || strchr("-.:_", *name)))
		name++;
	return !*name;
}

static int add_names(struct pair *host, char *names, struct error *err)
{
	char *rest = NULL;

	for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		int ret;

		if (!is_host(name))
			return error_set(err, CODE_USAGE, "write it as node1,node1.example.org,10.0.0.1",
					 "\"%.80s\" is no name or address of a host", name);
		ret = add_name(host->crt, name);
		if (ret)
			return failed(err, "put a name into a certificate", ret);
	}
	return 0;
}

static int sign(struct pair *host, const struct pair *ca, struct error *err)
{
	int ret = gnutls_x509_crt_set_key_usage(host->crt, GNUTLS_KEY_DIGITAL_SIGNATURE);

	ret = ret ?: gnutls_x509_crt_set_key_purpose_oid(host->crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	ret = ret ?: gnutls_x509_crt_set_key_purpose_oid(host->crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
	ret = ret ?: gnutls_x509_crt_sign2(host->crt, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0);
	return ret ? failed(err, "sign a certificate", ret) : 0;
}

/* The directory of one host, ready to be copied there. */
static int store_host(int dir_fd, const char *name, const struct pair *host, const struct pair *ca,
		      struct error *err)
{
	int fd, ret;

	if (mkdirat(dir_fd, name, 0700))
		return error_errno(err, CODE_NOT_READY, errno == EEXIST ?
				   "remove it first, if nothing uses it any more" : NULL,
				   "cannot make the directory %s", name);
	fd = openat(dir_fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_errno(err, CODE_NOT_READY, NULL, "cannot open the directory %s", name);
	ret = store_key(fd, TLS_KEY_NAME, host->key, err) || store_crt(fd, TLS_CERT_NAME, host->crt, err) ||
	      store_crt(fd, TLS_CA_NAME, ca->crt, err) ? -1 : 0;
	close(fd);
	return ret;
}

static int make_host(int dir_fd, const char *names, unsigned long days, const struct pair *ca,
		     struct error *err)
{
	char *copy = strdup(names), *first = strndup(names, strcspn(names, ","));
	struct pair host = { 0 };
	int ret = -1;

	if (!copy || !first)
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a certificate");
	else if (!is_host(first))
		error_set(err, CODE_USAGE, "write it as node1,node1.example.org,10.0.0.1",
			  "\"%.80s\" is no name or address of a host", first);
	else if (begin_certificate(&host, first, days))
		error_set(err, CODE_INTERNAL, NULL, "cannot make a certificate");
	else if (!add_names(&host, copy, err) && !sign(&host, ca, err))
		ret = store_host(dir_fd, first, &host, ca, err);
	pair_free(&host);
	free(copy);
	free(first);
	return ret;
}

int keygen_host(const char *dir, const char *names, unsigned long days, struct error *err)
{
	int dir_fd = safe_dir_open(dir, true, err), ret;
	struct pair ca = { 0 };

	if (dir_fd < 0)
		return -1;
	if (faccessat(dir_fd, TLS_CA_NAME, F_OK, 0))
		ret = make_authority(dir_fd, &ca, err);
	else
		ret = load_authority(dir_fd, &ca, err);
	if (!ret)
		ret = make_host(dir_fd, names, days, &ca, err);
	pair_free(&ca);
	close(dir_fd);
	return ret;
}
