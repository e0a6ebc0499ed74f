/* SPDX-License-Identifier: GPL-2.0 */
/* What the process of a TLS handshake tells: the outcome. */
#ifndef MIGRATE_WIRE_TLS_PEER_H
#define MIGRATE_WIRE_TLS_PEER_H

#include <stdbool.h>
#include "base/error.h"
#include "wire/tls_allow.h"

#define TLS_NAME_BYTES		64
#define TLS_HANDSHAKE_MS	10000

/**
 * struct tls_peer - the outcome of a handshake
 * @err: set: it failed
 * @name: of the other end: of its key, or in its certificate; printable
 * @words: what --allow says behind that name; printable
 * @in_kernel: the kernel has the keys
 */
struct tls_peer {
	struct error err;
	char name[TLS_NAME_BYTES], words[TLS_RULE_BYTES];
	bool in_kernel;
};

#endif
