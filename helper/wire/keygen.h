/* SPDX-License-Identifier: GPL-2.0 */
/* Makes what wire/tls_keys.h uses: pre-shared keys, an authority, and certificates for hosts. Nothing is overwritten. */
#ifndef MIGRATE_WIRE_KEYGEN_H
#define MIGRATE_WIRE_KEYGEN_H

#include "base/error.h"

#define KEYGEN_CA_KEY	"ca-key.pem"	/* beside TLS_CA_NAME */

/** keygen_psk() - a new file @path of mode 0600 with one random key of @identity, letters, digits and "-_.@" */
int keygen_psk(const char *path, const char *identity, struct error *err);

/**
 * keygen_host() - a certificate and its key, as a directory for --tls-dir below @dir
 * @dir: of the authority, which is made when @dir has none yet; so is @dir, with mode 0700
 * @names: names and addresses of the host, with commas between them. The first one names the new directory
 * @days: for which the certificate is valid
 */
int keygen_host(const char *dir, const char *names, unsigned long days, struct error *err);

#endif
