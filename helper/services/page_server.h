/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stands in for `criu page-server`: unmodified `criu dump` and `criu pre-dump` send their pages to it.
 *
 * Without TLS the protocol has no encryption and no proof of identity: every process that reaches the port can write images
 * into the directory, as with CRIU's own page server.
 */
#ifndef MIGRATE_SERVICES_PAGE_SERVER_H
#define MIGRATE_SERVICES_PAGE_SERVER_H

#include <stdbool.h>
#include "criu/tls_trust.h"

#define PAGE_SERVER_CONNECTIONS	64	/* most connections at a time */

/**
 * struct page_server_options - the command line
 * @prev_images_dir: the parent's directory, relative to @images_dir; or NULL
 * @address, @port: where to listen; port 0: any
 * @status_fd: descriptor that gets one byte when the server is ready; -1: none
 * @ps_socket: descriptor of the one connection, in place of an address; -1: none
 * @once: end after one connection
 * @no_fsync: do not wait for the disk before CLOSE is answered
 * @tls: each connection begins with TLS, with the certificates of @tls_files
 * @silent_ms: a sender that has said something may be silent so long while others wait for a place; 0: SENDER_SILENT_MS
 * @tls_any_name: the sender's certificate need not be for @address
 */
struct page_server_options {
	const char *images_dir, *prev_images_dir, *address;
	unsigned long port, silent_ms;
	int status_fd, ps_socket;
	bool once, no_fsync, json, tls, tls_any_name;
	struct tls_files tls_files;
};

/** page_server_run() - serve until a signal, or one connection. Return: the exit code */
int page_server_run(const struct page_server_options *opts);

#endif
