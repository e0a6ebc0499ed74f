/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A source of pages for lazy restores: it stands between an unmodified `criu dump --lazy-pages`, which holds the program,
 * and lazy-pages, CRIU's or ours, and gives the pages out of the program itself.
 *
 * To lazy-pages it is the page server of the dump, and it is better in that: a connection that ends is no word about
 * the program, and comes again. To CRIU it is the lazy-pages that has connected: CRIU kills the program when that says
 * so, and lets it go on when it fails.
 */
#ifndef MIGRATE_SERVICES_LAZY_SOURCE_H
#define MIGRATE_SERVICES_LAZY_SOURCE_H

#include <stdbool.h>
#include <sys/types.h>
#include "backend/backend.h"
#include "criu/tls_trust.h"

#define LAZY_SOURCE_CONNECTIONS	16	/* most at a time */

/**
 * struct lazy_source_options - the command line
 * @pid: the first process of the dumped tree
 * @criu_address, @criu_port: where criu dump listens
 * @address, @port: where this source listens; port 0: any
 * @connect: connect to a lazy-pages --listen there, in place of listening
 * @status_fd: descriptor that gets one byte when a lazy-pages may connect; -1: none
 */
struct lazy_source_options {
	pid_t pid;
	const char *images_dir, *criu_address, *address;
	unsigned long criu_port, port;
	enum backend_kind backend;
	int status_fd;
	bool connect, json, tls, tls_any_name;
	struct tls_files tls_files;
};

/** lazy_source_run() - give pages until a lazy-pages has all, or none needs them. Return: the exit code */
int lazy_source_run(const struct lazy_source_options *opts);

#endif
