/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What proves to the other end of a migration who this end is: a pre-shared key, or a certificate with its
 * key and an authority. This end hands the files on as descriptors, opened anew for each connection, so that
 * a renewed certificate needs no restart.
 */
#ifndef MIGRATE_WIRE_TLS_KEYS_H
#define MIGRATE_WIRE_TLS_KEYS_H

#include <limits.h>
#include <stdbool.h>
#include "base/error.h"

#define TLS_DEFAULT_DIR	"/etc/migrate-helper/tls"
#define TLS_PSK_NAME	"psk"		/* names of the files in such a directory */
#define TLS_CERT_NAME	"cert.pem"
#define TLS_KEY_NAME	"key.pem"
#define TLS_CA_NAME	"ca.pem"

/**
 * struct tls_options - of the command line, the same at both ends
 * @psk: file with pre-shared keys; NULL: not said
 * @dir: directory with keys; NULL: not said, then TLS_DEFAULT_DIR if it is there
 * @allow: the destination's list of names that may send; NULL: all names that are proved
 * @insecure: TCP without TLS
 * @no_ktls: leave encryption to this program where the kernel could do it
 */
struct tls_options {
	const char *psk, *dir, *allow;
	bool insecure, no_ktls;
};

/** enum tls_proof_kind - how both ends prove who they are; TLS_NONE: not at all, since there is no TLS */
enum tls_proof_kind { TLS_NONE, TLS_PSK, TLS_CERTIFICATE };

/** enum tls_file - descriptors of one connection; those that @proof does not need are -1 */
enum tls_file { TLS_FILE_PSK, TLS_FILE_CERT, TLS_FILE_KEY, TLS_FILE_CA, TLS_FILE_ALLOW, TLS_FILES };

/** struct tls_keys - the files, by their paths; an empty path: not used */
struct tls_keys {
	enum tls_proof_kind proof;
	bool no_ktls;
	char paths[TLS_FILES][PATH_MAX];
};

/**
 * tls_keys_find() - which keys are used for connections to or from @where, and are they fit for use?
 *
 * A UNIX socket needs none. The files of keys must be root's or this user's, and nobody else may read them.
 * Return: 0, or -1 with CODE_USAGE, or CODE_NOT_READY for a file
 */
int tls_keys_find(struct tls_keys *keys, const struct tls_options *opts, const char *where,
		  struct error *err);

/**
 * tls_keys_choose() - tls_keys_find() for connections that need TLS
 * @what: one of them, as the user calls it; @hint: for a user who has no keys
 */
int tls_keys_choose(struct tls_keys *keys, const struct tls_options *opts, const char *what, const char *hint,
		    struct error *err);

/** tls_keys_open() - the files, close-on-exec; 0, or -1 with @err and all of @fds -1 */
int tls_keys_open(const struct tls_keys *keys, int fds[TLS_FILES], struct error *err);

void tls_keys_close(int fds[TLS_FILES]);

#endif
