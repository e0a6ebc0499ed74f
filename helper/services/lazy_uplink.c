// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/report.h"
#include "services/lazy_keeper.h"
#include "services/lazy_uplink.h"
#include "wire/conn.h"

#define RETRY_MS	1000
#define HANDSHAKE_MS	10000
#define RESYNC_MS	30000

static int watch_fd(struct lazy_uplink *uplink, int fd, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = uplink };

	if (epoll_ctl(uplink->epoll, EPOLL_CTL_ADD, fd, &event))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot wait for the page server");
	return 0;
}

/* The keeper never finds a number that is another descriptor's: -1 is recorded first. */
static void record(struct lazy_uplink *uplink, int fd)
{
	const struct lazy_link *link = &uplink->link;
	bool tls = link->tls;

	if (fd < 0) {
		fd = uplink->aside;
		tls = fd >= 0;
	}
	journal_add(uplink->journal, LAZY_RECORD_LINK, 0, fd, link->form,
		    (link->force ? LAZY_LINK_FORCE : 0) | (tls ? LAZY_LINK_TLS : 0));
}

bool lazy_uplink_close_aside(struct lazy_uplink *uplink)
{
	const struct linger linger = { .l_onoff = true };

	if (uplink->aside < 0)
		return false;
	setsockopt(uplink->aside, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(uplink->aside);
	uplink->aside = -1;
	return true;
}

/*
 * The dump's end is the server of TLS, whichever end connected. A handshake that fails makes the dump fail, as everything
 * else here: the dumped program goes on.
 */
static int use(struct lazy_uplink *uplink, int fd, struct error *err)
{
	struct tls *tls = NULL;

	if (uplink->trust) {
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
		tls = tls_connect(fd, uplink->trust, uplink->name, HANDSHAKE_MS, err);
		if (!tls) {
			close(fd);
			return -1;
		}
	}
	lazy_link_use(&uplink->link, fd, tls);
	if (!watch_fd(uplink, fd, err)) {
		record(uplink, fd);
		lazy_uplink_close_aside(uplink);
		return 0;
	}
	lazy_link_abort(&uplink->link);
	return -1;
}

static void tell_connected(const struct lazy_uplink *uplink)
{
	char text[384];

	snprintf(text, sizeof(text), "connected with the page server%s%s", *uplink->peer ? " at " : "", uplink->peer);
	report_both("connected", json_pack("{s:o,s:I}", "peer", report_text(uplink->peer), "losses",
					   (json_int_t)uplink->losses), text);
}

static int connect_to(struct lazy_uplink *uplink, struct error *err)
{
	int fd = conn_dial(uplink->where, err);

	if (fd < 0) {
		snprintf(err->hint, sizeof(err->hint),
			 "criu dump --lazy-pages listens when it has written to its --status-fd");
		return -1;
	}
	snprintf(uplink->peer, sizeof(uplink->peer), "%.63s", uplink->where);
	if (use(uplink, fd, err))
		return -1;
	tell_connected(uplink);
	return 0;
}

static void close_listener(struct lazy_uplink *uplink)
{
	if (uplink->listen_fd >= 0)
		close(uplink->listen_fd);
	uplink->listen_fd = -1;
}

static int listen_at(struct lazy_uplink *uplink, struct error *err)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char name[64], text[128];

	uplink->listen_fd = conn_listen(uplink->where, err);
	if (uplink->listen_fd < 0)
		return -1;
	fcntl(uplink->listen_fd, F_SETFL, fcntl(uplink->listen_fd, F_GETFL) | O_NONBLOCK);
	getsockname(uplink->listen_fd, (void *)&addr, &len);
	conn_address_text(&addr, len, name, sizeof(name));
	snprintf(text, sizeof(text), "waiting for the page server of criu dump --lazy-pages at %s", name);
	report_both("listening", json_pack("{s:i}", "port",
					   ntohs(addr.ss_family == AF_INET6 ?
						 ((struct sockaddr_in6 *)&addr)->sin6_port :
						 ((struct sockaddr_in *)&addr)->sin_port)), text);
	if (!watch_fd(uplink, uplink->listen_fd, err))
		return 0;
	close_listener(uplink);
	return -1;
}

/* No second page server can take part: the listener goes when one is there. */
static bool accept_one(struct lazy_uplink *uplink)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct error err = { 0 };
	int fd = accept4(uplink->listen_fd, (void *)&addr, &len, SOCK_CLOEXEC);

	if (fd < 0)
		return false;
	conn_address_text(&addr, len, uplink->peer, sizeof(uplink->peer));
	if (use(uplink, fd, &err)) {
		report_error(&err);
		return false;
	}
	close_listener(uplink);
	tell_connected(uplink);
	return true;
}

static int take_given(struct lazy_uplink *uplink, int fd, struct error *err)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
		return error_set(err, CODE_USAGE, NULL, "descriptor %d is no stream socket", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	uplink->link.force = true;
	return use(uplink, fd, err);
}

static int init(struct lazy_uplink *uplink, const struct lazy_pages_options *opts, size_t form, int epoll,
		struct error *err)
{
	*uplink = (struct lazy_uplink){
		.listen = opts->listen, .epoll = epoll, .listen_fd = -1, .aside = -1, .journal = uplink->journal,
	};
	if (lazy_link_init(&uplink->link, err))
		return -1;
	uplink->link.form = form;
	if (opts->tls) {
		uplink->trust = tls_trust_load(&opts->tls_files, err);
		uplink->name = opts->tls_any_name ? NULL : opts->address;
		if (!uplink->trust)
			return -1;
	}
	if (opts->ps_socket < 0)
		conn_where(opts->address, opts->port, uplink->where, sizeof(uplink->where));
	return 0;
}

int lazy_uplink_open(struct lazy_uplink *uplink, const struct lazy_pages_options *opts, size_t form, int epoll,
		     struct error *err)
{
	if (init(uplink, opts, form, epoll, err))
		return -1;
	if (opts->ps_socket >= 0)
		return take_given(uplink, opts->ps_socket, err);
	return uplink->listen ? listen_at(uplink, err) : connect_to(uplink, err);
}

int lazy_uplink_resume(struct lazy_uplink *uplink, const struct lazy_pages_options *opts, size_t form, int epoll, int fd,
		       const struct lazy_page known[2], struct error *err)
{
	static const struct error no_keys = {
		.code = CODE_NETWORK, .what = "the keys of TLS with the page server were lost with a killed lazy-pages: if that was criu dump itself, it takes no new connection: kill a restored program that lacks pages, and the dumped one goes on",
	};
	struct error why = { 0 };

	if (init(uplink, opts, form, epoll, err)) {
		close(fd);
		return -1;
	}
	/* it is reached as when it was lost */
	if (fd < 0)
		return 0;
	/* a lazy-source takes a new connection for the old one; CRIU's dump listens no more */
	if (opts->tls) {
		uplink->aside = fd;
		if (uplink->listen || !*uplink->where || connect_to(uplink, &(struct error){ 0 }))
			lazy_uplink_lost(uplink, &no_keys);
		return 0;
	}
	uplink->link.force = opts->ps_socket >= 0;
	snprintf(uplink->peer, sizeof(uplink->peer), "%.63s", uplink->where);
	lazy_link_use(&uplink->link, fd, NULL);
	/* before anything is asked: the next helper, if this one is killed, asks for other pages */
	record(uplink, fd);
	if (lazy_link_resync(&uplink->link, known, RESYNC_MS, &why)) {
		if (why.code != CODE_NETWORK) {
			*err = why;
			return -1;
		}
		lazy_uplink_lost(uplink, &why);
		return 0;
	}
	if (watch_fd(uplink, fd, err))
		return -1;
	tell_connected(uplink);
	return 0;
}

bool lazy_uplink_may_return(const struct lazy_uplink *uplink)
{
	return uplink->link.fd < 0 && *uplink->where;
}

bool lazy_uplink_try(struct lazy_uplink *uplink)
{
	struct error err = { 0 };

	if (!lazy_uplink_may_return(uplink))
		return false;
	if (uplink->listen_fd >= 0)
		return accept_one(uplink);
	if (clock_now_ms() < uplink->retry_ms)
		return false;
	uplink->retry_ms = clock_now_ms() + RETRY_MS;
	if (uplink->listen ? listen_at(uplink, &err) : connect_to(uplink, &err)) {
		/* that nobody listens was told when the connection was lost */
		if (err.code != CODE_NETWORK)
			report_error(&err);
		return false;
	}
	return !uplink->listen;
}

void lazy_uplink_lost(struct lazy_uplink *uplink, const struct error *why)
{
	static const char advice[] = "the restored program waits for the pages that it lacks, and gets no zeros for them";
	char text[1024];

	uplink->losses++;
	if (uplink->link.wrong)
		snprintf(text, sizeof(text),
			 "%s: nothing more is taken from there; %s. Without another source it can only be killed",
			 why->what, advice);
	else
		snprintf(text, sizeof(text), "%s; %s; %s", why->what, advice,
			 !*uplink->where ? "the connection was given, and cannot be made again" :
			 uplink->listen ? "a page server with the same memory may connect again" :
			 "trying again each second");
	report_both(uplink->link.wrong ? "wrong" : "lost",
		    json_pack("{s:o,s:s,s:I}", "peer", report_text(uplink->peer), "class",
			      error_code_name(why->code), "losses", (json_int_t)uplink->losses), text);
	if (uplink->link.wrong)
		/* to close it would end the dump */
		epoll_ctl(uplink->epoll, EPOLL_CTL_DEL, uplink->link.fd, NULL);
	else {
		record(uplink, -1);
		lazy_link_lost(&uplink->link);
	}
	uplink->retry_ms = clock_now_ms() + RETRY_MS;
}

void lazy_uplink_watch(struct lazy_uplink *uplink)
{
	struct epoll_event event = {
		.events = EPOLLIN | (lazy_link_wants_out(&uplink->link) ? EPOLLOUT : 0), .data.ptr = uplink,
	};

	if (lazy_link_is_open(&uplink->link))
		epoll_ctl(uplink->epoll, EPOLL_CTL_MOD, uplink->link.fd, &event);
}

void lazy_uplink_close(struct lazy_uplink *uplink)
{
	close_listener(uplink);
	lazy_uplink_close_aside(uplink);
	lazy_link_free(&uplink->link);
	tls_trust_free(uplink->trust);
	uplink->trust = NULL;
}
