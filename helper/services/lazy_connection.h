/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the connection to a page server comes about, and comes again: by connecting, by listening, or as a
 * descriptor that was given.
 */
#ifndef MIGRATE_SERVICES_LAZY_CONNECTION_H
#define MIGRATE_SERVICES_LAZY_CONNECTION_H

#include "services/lazy_link.h"
#include "services/lazy_pages.h"

/**
 * struct lazy_connection - @link: the connection
 * @trust: TLS comes first, with these certificates; NULL: there is no TLS
 * @name: what the page server's certificate must be for; NULL: anything
 * @where: the address; empty: a descriptor was given
 * @listen_fd: -1: the source does not listen, or is connected
 * @retry_ms: when it connects again
 * @losses: how often the connection was lost
 */
struct lazy_connection {
	struct lazy_link link;
	struct tls_trust *trust;
	const char *name;
	char where[256], peer[64];
	bool listen;
	int epoll, listen_fd;
	int64_t retry_ms;
	uint64_t losses;
};

/**
 * lazy_connection_open() - connect, or listen
 * @form: PAGE_COMMAND_NARROW or PAGE_COMMAND_WIDE
 * @epoll: gets the descriptors, with @connection as their data
 */
int lazy_connection_open(struct lazy_connection *connection, const struct lazy_pages_options *opts, size_t form,
			 int epoll, struct error *err);

/** lazy_connection_try() - connect again when it is time for that. Return: true when there is a connection anew */
bool lazy_connection_try(struct lazy_connection *connection);

/** lazy_connection_lost() - the connection is lost, for @why */
void lazy_connection_lost(struct lazy_connection *connection, const struct error *why);

/** lazy_connection_watch() - wait for room in the socket, too, while commands wait */
void lazy_connection_watch(struct lazy_connection *connection);

void lazy_connection_close(struct lazy_connection *connection);

#endif
