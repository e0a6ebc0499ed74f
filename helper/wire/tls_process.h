/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The process that makes the TLS handshake of one connection: migrate-helper, executed again with a verb that is in no
 * help text. It has the descriptors below, no rights, and a filter of system calls.
 */
#ifndef MIGRATE_WIRE_TLS_PROCESS_H
#define MIGRATE_WIRE_TLS_PROCESS_H

#include "wire/tls_keys.h"

#define TLS_PROCESS_VERB	"tls-link"

/**
 * enum tls_process_fd - its descriptors, by number
 * @TLS_PROCESS_SOCK: to which it writes a struct tls_peer, and at the end of a connection why it has ended, if it knows
 * @TLS_PROCESS_TCP: the connection
 * @TLS_PROCESS_PAIR: where plain bytes go, unless the kernel encrypts
 * @TLS_PROCESS_KEYS: the first of enum tls_file
 */
enum tls_process_fd {
	TLS_PROCESS_SOCK = 3,
	TLS_PROCESS_TCP,
	TLS_PROCESS_PAIR,
	TLS_PROCESS_KEYS,
	TLS_PROCESS_FDS = TLS_PROCESS_KEYS + TLS_FILES,
};

/** tls_process_main() - arguments: serve|connect|given psk|certificate kernel|user HOST. Does not return */
int tls_process_main(int argc, char **argv);

#endif
