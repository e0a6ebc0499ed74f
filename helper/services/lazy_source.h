/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the connection to a page server comes about, and comes again: by connecting, by listening, or as a
 * descriptor that was given.
 */
#ifndef MIGRATE_SERVICES_LAZY_SOURCE_H
#define MIGRATE_SERVICES_LAZY_SOURCE_H

#include "services/lazy_link.h"
#include "services/lazy_pages.h"

/**
 * struct lazy_source - @link: the connection
 * @where: the address; empty: a descriptor was given
 * @listen_fd: -1: the source does not listen, or is connected
 * @retry_ms: when it connects again
 * @losses: how often the connection was lost
 */
struct lazy_source {
	struct lazy_link link;
	char where[256], peer[64];
	bool listen;
	int epoll, listen_fd;
	int64_t retry_ms;
	uint64_t losses;
};

/**
 * lazy_source_open() - connect, or listen
 * @form: PAGE_COMMAND_NARROW or PAGE_COMMAND_WIDE
 * @epoll: gets the descriptors, with @source as their data
 */
int lazy_source_open(struct lazy_source *source, const struct lazy_pages_options *opts, size_t form, int epoll,
		     struct error *err);

/** lazy_source_try() - connect again when it is time for that. Return: true when there is a connection anew */
bool lazy_source_try(struct lazy_source *source);

/** lazy_source_lost() - the connection is lost, for @why */
void lazy_source_lost(struct lazy_source *source, const struct error *why);

/** lazy_source_watch() - wait for room in the socket, too, while commands wait */
void lazy_source_watch(struct lazy_source *source);

void lazy_source_close(struct lazy_source *source);

#endif
