/* SPDX-License-Identifier: GPL-2.0 */
/* The keys of a TLS 1.3 connection, whose handshake GnuTLS has made, for the kernel (wire/ktls.h). */
#ifndef MIGRATE_WIRE_KTLS_KEYS_H
#define MIGRATE_WIRE_KTLS_KEYS_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include "base/error.h"

/** ktls_keys_attach() - make the socket one that can take keys, before any byte is encrypted; false: this kernel cannot */
bool ktls_keys_attach(int fd);

/**
 * ktls_keys_give() - the keys of both directions go from GnuTLS to the kernel
 *
 * GnuTLS must not be used for this connection afterwards, but in the second case.
 * Return: 0; 1: the kernel takes no keys of this cipher, and none was given; -1 with @err
 */
int ktls_keys_give(int fd, gnutls_session_t session, struct error *err);

#endif
