/* SPDX-License-Identifier: GPL-2.0 */
/* The command line of lazy-pages. */
#ifndef MIGRATE_SERVICES_LAZY_OPTIONS_H
#define MIGRATE_SERVICES_LAZY_OPTIONS_H

#include <stdbool.h>
#include "criu/tls_trust.h"

/**
 * struct lazy_pages_options - the command line
 * @work_dir: where lazy-pages.socket is made; NULL: @images_dir
 * @address, @port: of the page server; NULL: the images have all pages
 * @listen: the page server connects to @address
 * @ps_socket: descriptor of the connection to the page server, in place of an address; -1: none
 * @status_fd: descriptor that gets one byte when a restore may connect; -1: none
 * @tls: the connection begins with TLS, with the certificates of @tls_files
 * @tls_any_name: the page server's certificate need not be for @address
 * @restores: end after so many; 0: end at a signal
 */
struct lazy_pages_options {
	const char *images_dir, *work_dir, *address;
	unsigned long port, restores;
	int status_fd, ps_socket;
	bool listen, page_server, json, tls, tls_any_name;
	struct tls_files tls_files;
};

#endif
