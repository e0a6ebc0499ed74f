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
#include "services/lazy_connection.h"
#include "wire/conn.h"

#define RETRY_MS	1000
#define HANDSHAKE_MS	10000

static int watch_fd(struct lazy_connection *connection, int fd, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };

	if (epoll_ctl(connection->epoll, EPOLL_CTL_ADD, fd, &event))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot wait for the page server");
	return 0;
}

/*
 * The dump's end is the server of TLS, whoever connected. A handshake that fails makes the dump fail, as everything
 * else here: the dumped program goes on.
 */
static int use(struct lazy_connection *connection, int fd, struct error *err)
{
	struct tls *tls = NULL;

	if (connection->trust) {
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
		tls = tls_connect(fd, connection->trust, connection->name, HANDSHAKE_MS, err);
		if (!tls) {
			close(fd);
			return -1;
		}
	}
	lazy_link_use(&connection->link, fd, tls);
	if (!watch_fd(connection, fd, err))
		return 0;
	lazy_link_abort(&connection->link);
	return -1;
}

static void tell_connected(const struct lazy_connection *connection)
{
	char text[384];

	snprintf(text, sizeof(text), "connected with the page server%s%s", *connection->peer ? " at " : "", connection->peer);
	report_both("connected", json_pack("{s:o,s:I}", "peer", report_text(connection->peer), "losses",
					   (json_int_t)connection->losses), text);
}

static int connect_to(struct lazy_connection *connection, struct error *err)
{
	int fd = conn_dial(connection->where, err);

	if (fd < 0) {
		snprintf(err->hint, sizeof(err->hint),
			 "criu dump --lazy-pages listens when it has written to its --status-fd");
		return -1;
	}
	snprintf(connection->peer, sizeof(connection->peer), "%.63s", connection->where);
	if (use(connection, fd, err))
		return -1;
	tell_connected(connection);
	return 0;
}

static void close_listener(struct lazy_connection *connection)
{
	if (connection->listen_fd >= 0)
		close(connection->listen_fd);
	connection->listen_fd = -1;
}

static int listen_at(struct lazy_connection *connection, struct error *err)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char name[64], text[128];

	connection->listen_fd = conn_listen(connection->where, err);
	if (connection->listen_fd < 0)
		return -1;
	fcntl(connection->listen_fd, F_SETFL, fcntl(connection->listen_fd, F_GETFL) | O_NONBLOCK);
	getsockname(connection->listen_fd, (void *)&addr, &len);
	conn_address_text(&addr, len, name, sizeof(name));
	snprintf(text, sizeof(text), "waiting for the page server of criu dump --lazy-pages at %s", name);
	report_both("listening", json_pack("{s:i}", "port",
					   ntohs(addr.ss_family == AF_INET6 ?
						 ((struct sockaddr_in6 *)&addr)->sin6_port :
						 ((struct sockaddr_in *)&addr)->sin_port)), text);
	if (!watch_fd(connection, connection->listen_fd, err))
		return 0;
	close_listener(connection);
	return -1;
}

/* No second page server can take part: the listener goes when one is there. */
static bool accept_one(struct lazy_connection *connection)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct error err = { 0 };
	int fd = accept4(connection->listen_fd, (void *)&addr, &len, SOCK_CLOEXEC);

	if (fd < 0)
		return false;
	conn_tune(fd);
	conn_address_text(&addr, len, connection->peer, sizeof(connection->peer));
	if (use(connection, fd, &err)) {
		report_error(&err);
		return false;
	}
	close_listener(connection);
	tell_connected(connection);
	return true;
}

static int take_given(struct lazy_connection *connection, int fd, struct error *err)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
		return error_set(err, CODE_USAGE, NULL, "descriptor %d is no stream socket", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	connection->link.force = true;
	return use(connection, fd, err);
}

int lazy_connection_open(struct lazy_connection *connection, const struct lazy_pages_options *opts, size_t form, int epoll,
		     struct error *err)
{
	*connection = (struct lazy_connection){ .listen = opts->listen, .epoll = epoll, .listen_fd = -1 };
	if (lazy_link_init(&connection->link, err))
		return -1;
	connection->link.form = form;
	if (opts->tls) {
		connection->trust = tls_trust_load(&opts->tls_files, err);
		connection->name = opts->tls_any_name ? NULL : opts->address;
		if (!connection->trust)
			return -1;
	}
	if (opts->ps_socket >= 0)
		return take_given(connection, opts->ps_socket, err);
	conn_where(opts->address, opts->port, connection->where, sizeof(connection->where));
	return connection->listen ? listen_at(connection, err) : connect_to(connection, err);
}

bool lazy_connection_try(struct lazy_connection *connection)
{
	struct error err = { 0 };

	if (connection->link.fd >= 0 || !*connection->where)
		return false;
	if (connection->listen_fd >= 0)
		return accept_one(connection);
	if (clock_now_ms() < connection->retry_ms)
		return false;
	connection->retry_ms = clock_now_ms() + RETRY_MS;
	if (connection->listen ? listen_at(connection, &err) : connect_to(connection, &err)) {
		/* that nobody listens was told when the connection was lost */
		if (err.code != CODE_NETWORK)
			report_error(&err);
		return false;
	}
	return !connection->listen;
}

void lazy_connection_lost(struct lazy_connection *connection, const struct error *why)
{
	static const char advice[] = "the restored program waits for the pages that it lacks, and gets no zeros for them";
	char text[1024];

	connection->losses++;
	if (connection->link.wrong)
		snprintf(text, sizeof(text),
			 "%s: nothing more is taken from there; %s. Without another source it can only be killed",
			 why->what, advice);
	else
		snprintf(text, sizeof(text), "%s; %s; %s", why->what, advice,
			 !*connection->where ? "the connection was given, and cannot be made again" :
			 connection->listen ? "a page server with the same memory may connect again" :
			 "trying again each second");
	report_both(connection->link.wrong ? "wrong" : "lost",
		    json_pack("{s:o,s:s,s:I}", "peer", report_text(connection->peer), "class",
			      error_code_name(why->code), "losses", (json_int_t)connection->losses), text);
	if (connection->link.wrong)
		/* to close it would end the dump */
		epoll_ctl(connection->epoll, EPOLL_CTL_DEL, connection->link.fd, NULL);
	else
		lazy_link_lost(&connection->link);
	connection->retry_ms = clock_now_ms() + RETRY_MS;
}

void lazy_connection_watch(struct lazy_connection *connection)
{
	struct epoll_event event = {
		.events = EPOLLIN | (lazy_link_wants_out(&connection->link) ? EPOLLOUT : 0), .data.ptr = connection,
	};

	if (lazy_link_is_open(&connection->link))
		epoll_ctl(connection->epoll, EPOLL_CTL_MOD, connection->link.fd, &event);
}

void lazy_connection_close(struct lazy_connection *connection)
{
	close_listener(connection);
	lazy_link_free(&connection->link);
	tls_trust_free(connection->trust);
	connection->trust = NULL;
}
