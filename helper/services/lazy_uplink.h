/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How the connection to a page server comes about, and comes again: by connecting, by listening, or as a
 * descriptor that was given.
 */
#ifndef MIGRATE_SERVICES_LAZY_UPLINK_H
#define MIGRATE_SERVICES_LAZY_UPLINK_H

#include "services/lazy_link.h"
#include "services/lazy_options.h"

/**
 * struct lazy_uplink - @link: the connection
 * @trust: TLS comes first, with these certificates; NULL: there is no TLS
 * @name: what the page server's certificate must be for; NULL: anything
 * @where: the address; empty: a descriptor was given
 * @listen_fd: -1: the source does not listen, or is connected
 * @aside: a connection by TLS whose keys a killed helper had, or -1: it stays open until there is another one, since its
 *	end would let the dumped program go on
 * @journal: records the connection
 * @retry_ms: when it connects again
 * @losses: how often the connection was lost
 */
struct lazy_uplink {
	struct lazy_link link;
	struct tls_trust *trust;
	const char *name;
	char where[256], peer[64];
	bool listen;
	int epoll, listen_fd, aside;
	struct journal *journal;
	int64_t retry_ms;
	uint64_t losses;
};

/**
 * lazy_uplink_open() - connect, or listen
 * @form: PAGE_COMMAND_NARROW or PAGE_COMMAND_WIDE
 * @epoll: gets the descriptors, with @uplink as their data
 */
int lazy_uplink_open(struct lazy_uplink *uplink, const struct lazy_pages_options *opts, size_t form,
			 int epoll, struct error *err);

/**
 * lazy_uplink_resume() - as lazy_uplink_open(), for a connection that another process had begun; a lost one is no failure
 * @fd: the uplink owns it; -1: it was lost
 * @known: two pages that the source surely has
 */
int lazy_uplink_resume(struct lazy_uplink *uplink, const struct lazy_pages_options *opts, size_t form, int epoll, int fd,
		       const struct lazy_page known[2], struct error *err);

/** lazy_uplink_try() - connect again when it is time for that. Return: true when there is a connection anew */
bool lazy_uplink_try(struct lazy_uplink *uplink);

/** lazy_uplink_may_return() - the connection is lost, and lazy_uplink_try() can make it again */
bool lazy_uplink_may_return(const struct lazy_uplink *uplink);

/** lazy_uplink_lost() - the connection is lost, for @why */
void lazy_uplink_lost(struct lazy_uplink *uplink, const struct error *why);

/**
 * lazy_uplink_close_aside() - close the connection whose keys are lost, if there is one, by a reset
 *
 * To criu dump this is a failure, as each end without the keys is: the dumped program goes on. To a lazy-source it is no word.
 * Return: true when there was one
 */
bool lazy_uplink_close_aside(struct lazy_uplink *uplink);

/** lazy_uplink_watch() - wait for room in the socket, too, while commands wait */
void lazy_uplink_watch(struct lazy_uplink *uplink);

void lazy_uplink_close(struct lazy_uplink *uplink);

#endif
