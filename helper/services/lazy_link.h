/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The connection to the page server of a `criu dump --lazy-pages`: many GET commands are under way at a time,
 * and the server answers them in their order, each with as many pages as it has in a piece.
 *
 * CRIU's page server takes the end of a connection for success, and then kills the dumped tasks. So the socket is
 * closed by lazy_link_finish() and lazy_link_abort() alone, or by the other end. Should this process be killed, a TCP
 * connection is reset, which CRIU takes for a failure: the dumped tasks go on.
 */
#ifndef MIGRATE_SERVICES_LAZY_LINK_H
#define MIGRATE_SERVICES_LAZY_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "criu/page_command.h"
#include "criu/tls_trust.h"
#include "services/lazy_pace.h"

#define LAZY_LINK_PAGES		256	/* most pages of a GET */

struct lazy_link;

/** typedef lazy_link_fn - the first @nr_pages of a GET of @owner came; the rest has to be asked for again */
typedef int (*lazy_link_fn)(void *owner, uint64_t addr, uint64_t nr_pages, const void *pages, struct error *err);

/** struct lazy_get - a GET that was not answered yet */
struct lazy_get {
	void *owner;
	uint64_t target, addr, nr_pages;
	int64_t asked_us;
};

/**
 * struct lazy_link - @fd: non-blocking; -1: not connected
 * @tls: NULL: plain
 * @form: PAGE_COMMAND_NARROW or PAGE_COMMAND_WIDE
 * @force: the socket was given: it may stay open elsewhere, and CLOSE has another form
 * @gets: a ring, of which @first is the oldest one
 * @out, @out_bytes: commands that the socket did not take yet
 * @head, @got: the answer that is coming in: @got counts its header and its pages
 * @asked: pages of all @gets
 * @pace: of what no fault asks for
 */
struct lazy_link {
	int fd;
	struct tls *tls;
	size_t form;
	bool force, wrong;
	struct lazy_get *gets;
	size_t first, nr, room;
	uint8_t *out;
	size_t out_bytes, out_room;
	struct page_command head;
	uint8_t raw[PAGE_COMMAND_WIDE];
	size_t got;
	uint8_t *pages;
	uint64_t asked, received;
	struct lazy_pace pace;
};

int lazy_link_init(struct lazy_link *link, struct error *err);

/** lazy_link_use() - @fd is the connection from now on, and @tls, or NULL; the link owns both. Nothing was asked */
void lazy_link_use(struct lazy_link *link, int fd, struct tls *tls);

static inline bool lazy_link_is_open(const struct lazy_link *link)
{
	return link->fd >= 0 && !link->wrong;
}

/** lazy_link_ask() - put a GET into the queue; @nr_pages <= LAZY_LINK_PAGES. lazy_link_send() sends it */
int lazy_link_ask(struct lazy_link *link, void *owner, uint64_t target, uint64_t addr, uint64_t nr_pages,
		  struct error *err);

/** lazy_link_send() - send what the socket takes. 0; -1 with CODE_NETWORK: the connection is lost */
int lazy_link_send(struct lazy_link *link, struct error *err);

/** lazy_link_wants_out() - a part of the commands could not be sent yet */
static inline bool lazy_link_wants_out(const struct lazy_link *link)
{
	return link->out_bytes;
}

/**
 * lazy_link_receive() - take what has come, and call @fn when the pages of one GET are whole
 *
 * Return: 1 after a call of @fn; 0: nothing more for now; -1 with CODE_NETWORK when the connection is lost,
 * with CODE_PEER when the other end does not keep to the protocol. The link is then wrong: it is used no more,
 * and stays open.
 */
int lazy_link_receive(struct lazy_link *link, lazy_link_fn fn, struct error *err);

/** struct lazy_page - one page, as a GET names it */
struct lazy_page {
	uint64_t target, addr;
};

/**
 * lazy_link_resync() - find the end of the answers to what another process has asked on this connection, and drop them
 * @known: two pages that the server surely has, another pair than that of any process whose answers may still come
 * @limit_ms: silence after which the call fails
 * Return: 0; -1 with CODE_NETWORK: the connection is lost; else with CODE_PEER: it says nothing, and another process may try
 */
int lazy_link_resync(struct lazy_link *link, const struct lazy_page known[2], int limit_ms, struct error *err);

/** lazy_link_has_more() - lazy_link_receive() has work for which the socket does not become readable any more */
static inline bool lazy_link_has_more(const struct lazy_link *link)
{
	return link->tls && tls_has_more(link->tls);
}

/** lazy_link_lost() - close the lost connection, and forget what was asked */
void lazy_link_lost(struct lazy_link *link);

/** lazy_link_finish() - nothing is asked, and all pages are in use: let the dump kill its tasks, and end */
int lazy_link_finish(struct lazy_link *link, struct error *err);

/** lazy_link_abort() - make the dump fail, so that its tasks go on. Before one of their copies has run only */
void lazy_link_abort(struct lazy_link *link);

void lazy_link_free(struct lazy_link *link);

#endif
