// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/end_signals.h"
#include "base/page.h"
#include "base/report.h"
#include "base/text.h"
#include "os/fds.h"
#include "services/page_receiver.h"
#include "services/page_server.h"
#include "services/status_fd.h"
#include "wire/conn.h"
#include "wire/listener.h"

#define TICK_MS		1000
/* A dump connects first, and sends the first command when it has stopped and looked at all tasks. */
#define SILENT_MS	600000
#define SILENT_FULL_MS	60000	/* the same when all places are taken */
/*
 * CRIU is silent while its code in a process puts memory into pipes, which takes a second for some GiB. It sends each
 * process when that has ended.
 */
#define SENDER_SILENT_MS	900000

/**
 * struct page_server - @trust: NULL without TLS; @receivers: NULL in a free place; @strangers: connections
 *	without a command
 */
struct page_server {
	struct page_server_options opts;
	struct image_dir dir;
	struct tls_trust *trust;
	struct listener listener;
	int signals, wake_fd;
	struct page_receiver *receivers[PAGE_SERVER_CONNECTIONS];
	uint64_t complete, failed, strangers;
	struct image_counts counts;
	uint64_t images;
	bool stop;
	int64_t stranger_ms;
	struct error err;
};

static int open_signals(struct page_server *server)
{
	server->signals = end_signals_open(&server->err);
	if (server->signals < 0)
		return -1;
	server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return server->wake_fd < 0 ?
	       error_errno(&server->err, CODE_INTERNAL, NULL, "cannot wait for signals") : 0;
}

/* A dead peer's connection ends after two minutes; a network may be silent for a while. */
static void tune(int fd)
{
	int one = 1, idle = 60, interval = 10, count = 6;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static struct page_receiver **free_place(struct page_server *server)
{
	for (size_t i = 0; i < PAGE_SERVER_CONNECTIONS; i++)
		if (!server->receivers[i])
			return &server->receivers[i];
	return NULL;
}

static int receive(struct page_server *server, int fd, const char *peer, struct error *err)
{
	struct page_receiver *receiver = malloc(sizeof(*receiver));

	if (!receiver) {
		close(fd);
		return error_set(err, CODE_INTERNAL, NULL, "no memory for a connection");
	}
	page_receiver_init(receiver, fd, &server->dir);
	receiver->wake_fd = server->wake_fd;
	receiver->trust = server->trust;
	receiver->name = server->opts.tls_any_name ? NULL : server->opts.address;
	snprintf(receiver->peer, sizeof(receiver->peer), "%s", peer);
	if (!page_receiver_start(receiver, err)) {
		*free_place(server) = receiver;
		return 0;
	}
	page_receiver_free(receiver);
	free(receiver);
	return -1;
}

static void accept_one(struct page_server *server)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct error err = { 0 };
	char peer[64];
	int fd = listener_accept(&server->listener, &addr, &len);

	if (fd < 0)
		return;
	tune(fd);
	conn_address_text(&addr, len, peer, sizeof(peer));
	/* the dump ends; the server does not */
	if (receive(server, fd, peer, &err))
		report_error(&err);
}

static json_t *figures(uint64_t images, const struct image_counts *counts)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I}", "images", (json_int_t)images,
			 "pages", (json_int_t)counts->present,
			 "bytes", (json_int_t)(counts->present * PAGE_BYTES),
			 "in_parent", (json_int_t)counts->in_parent,
			 "lazy", (json_int_t)counts->lazy);
}

__attribute__((format(printf, 4, 5)))
static void tell(const struct page_receiver *receiver, const char *event, json_t *fields,
		 const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list args;
	int at = snprintf(text, sizeof(text), "%s: ", receiver->peer);

	va_start(args, fmt);
	vsnprintf(text + at, sizeof(text) - at, fmt, args);
	va_end(args);
	json_object_set_new(fields, "peer", report_text(receiver->peer));
	report_both(event, fields, text);
}

/* The dump may have failed on the way of the answer; then its program goes on, and the images are those of before. */
static const char *doubt(const struct page_receiver *receiver)
{
	return receiver->confirmed ? "" :
	       "; the connection ended before the sender was seen to know that: look at its criu dump before you restore";
}

static void tell_complete(struct page_server *server, struct page_receiver *receiver)
{
	const struct image_counts *counts = &receiver->counts;
	json_t *fields = figures(receiver->nr_made, counts);

	json_object_set_new(fields, "confirmed", json_boolean(receiver->confirmed));
	server->complete++;
	server->images += receiver->nr_made;
	server->counts.present += counts->present;
	server->counts.in_parent += counts->in_parent;
	server->counts.lazy += counts->lazy;
	tell(receiver, "complete", fields,
	     "%s, %" PRIu64 " more in the parent, %" PRIu64 " left for later: %s complete%s",
	     text_count(counts->present, "page", "pages").text, counts->in_parent, counts->lazy,
	     text_count(receiver->nr_made, "object is", "objects are").text, doubt(receiver));
}

static void tell_failed(struct page_server *server, struct page_receiver *receiver)
{
	const struct error *err = &receiver->err;

	server->failed++;
	tell(receiver, "failed",
	     json_pack("{s:s,s:i,s:s,s:I}", "class", error_code_name(err->code), "exit",
		       err->code, "hint", err->hint, "images", (json_int_t)receiver->nr_made),
	     "%s; no image of this connection is kept%s%s", err->what, *err->hint ? ": " : "",
	     err->hint);
}

/* A program that looks for open ports makes at most a line a second. */
static void tell_stranger(struct page_server *server, struct page_receiver *receiver)
{
	int64_t now_ms = clock_now_ms();

	server->strangers++;
	if (now_ms - server->stranger_ms < TICK_MS)
		return;
	server->stranger_ms = now_ms;
	tell(receiver, "stranger", json_pack("{s:I}", "strangers", (json_int_t)server->strangers),
	     "%s%s%s", receiver->err.what, *receiver->err.hint ? ": " : "", receiver->err.hint);
}

/* The outcome of a connection that has ended; with --once it may be the server's own. */
static void settle(struct page_server *server, struct page_receiver *receiver)
{
	bool counts = receiver->spoke || server->opts.ps_socket >= 0;

	if (receiver->closed)
		tell_complete(server, receiver);
	else if (counts)
		tell_failed(server, receiver);
	else
		tell_stranger(server, receiver);
	if (!counts || !server->opts.once || server->stop)
		return;
	server->stop = true;
	if (!receiver->closed)
		server->err = receiver->err;
}

static void reap(struct page_server *server, bool all)
{
	for (size_t i = 0; i < PAGE_SERVER_CONNECTIONS; i++) {
		struct page_receiver *receiver = server->receivers[i];

		if (!receiver || (!all && !receiver->ended))
			continue;
		page_receiver_join(receiver);
		server->receivers[i] = NULL;
		settle(server, receiver);
		page_receiver_free(receiver);
		free(receiver);
	}
}

static void cut_silent(struct page_server *server)
{
	int64_t limit_ms = free_place(server) ? SILENT_MS : SILENT_FULL_MS;

	for (size_t i = 0; i < PAGE_SERVER_CONNECTIONS && server->listener.fd >= 0; i++) {
		struct page_receiver *receiver = server->receivers[i];

		if (receiver && !receiver->spoke && clock_now_ms() - receiver->since_ms > limit_ms)
			page_receiver_cut(receiver, PAGE_CUT_SILENT);
	}
}

static bool caller_waits(const struct page_server *server)
{
	struct pollfd pfd = { .fd = server->listener.fd, .events = POLLIN };

	return server->listener.fd >= 0 && poll(&pfd, 1, 0) > 0;
}

/* One at a time: the one that has been silent for longest gives its place to a caller that waits. */
static void make_place(struct page_server *server)
{
	int64_t silent_ms = server->opts.silent_ms ?: SENDER_SILENT_MS;
	struct page_receiver *silent = NULL;

	if (free_place(server) || !caller_waits(server))
		return;
	for (size_t i = 0; i < PAGE_SERVER_CONNECTIONS; i++) {
		int64_t ms = page_receiver_silent_ms(server->receivers[i]);

		if (!server->receivers[i]->spoke || ms < silent_ms)
			continue;
		silent_ms = ms;
		silent = server->receivers[i];
	}
	if (silent)
		page_receiver_cut(silent, PAGE_CUT_SILENT);
}

static void serve(struct page_server *server)
{
	eventfd_t ignored;

	while (!server->stop) {
		struct pollfd fds[] = {
			{ .fd = server->signals, .events = POLLIN },
			{ .fd = server->wake_fd, .events = POLLIN },
			/* further callers wait in the socket's queue */
			{ .fd = free_place(server) ? listener_poll_fd(&server->listener) : -1, .events = POLLIN },
		};

		poll(fds, sizeof(fds) / sizeof(*fds), TICK_MS);
		if (fds[0].revents && end_signals_take(server->signals))
			server->stop = true;
		if (fds[1].revents)
			eventfd_read(server->wake_fd, &ignored);
		reap(server, false);
		cut_silent(server);
		make_place(server);
		if (fds[2].revents && !server->stop)
			accept_one(server);
	}
}

/* With --once the connection that ended the server is settled; others are cut. */
static void end_all(struct page_server *server)
{
	uint64_t failed;

	for (size_t i = 0; i < PAGE_SERVER_CONNECTIONS; i++)
		if (server->receivers[i])
			page_receiver_cut(server->receivers[i], PAGE_CUT_STOP);
	failed = server->failed;
	reap(server, true);
	failed = server->failed - failed;
	if (failed)
		error_set(&server->err, CODE_ABORTED, NULL, "%s cut",
			  text_count(failed, "connection was", "connections were").text);
	else if (server->opts.once && !server->complete && !server->failed)
		error_set(&server->err, CODE_ABORTED, NULL,
			  "the page server was ended before a dump connected");
}

static int open_listener(struct page_server *server)
{
	const char *address = server->opts.address;
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char where[256], name[64];
	json_t *fields;
	int fd;

	conn_where(address, server->opts.port, where, sizeof(where));
	fd = conn_listen(where, &server->err);
	if (fd < 0)
		return -1;
	listener_init(&server->listener, fd);
	getsockname(fd, (void *)&addr, &len);
	conn_address_text(&addr, len, name, sizeof(name));
	fields = json_pack("{s:i}", "port",
			   ntohs(addr.ss_family == AF_INET6 ?
				 ((struct sockaddr_in6 *)&addr)->sin6_port :
				 ((struct sockaddr_in *)&addr)->sin_port));
	snprintf(where, sizeof(where), "waiting for criu dump --page-server%s at %s",
		 server->opts.tls ? " --tls" : "", name);
	report_both("listening", fields, where);
	return 0;
}

static int take_socket(struct page_server *server)
{
	int fd = server->opts.ps_socket, type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
		return error_set(&server->err, CODE_USAGE, NULL,
				 "descriptor %d is no stream socket", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	server->opts.once = true;
	return receive(server, fd, "the socket that was given", &server->err);
}

static int begin(struct page_server *server)
{
	const struct page_server_options *opts = &server->opts;

	fds_allow_many();
	/* a log whose reader hangs must not hold up a dump */
	report_share_output();
	if (opts->tls) {
		server->trust = tls_trust_load(&opts->tls_files, &server->err);
		if (!server->trust)
			return -1;
	}
	if (image_dir_open(&server->dir, opts->images_dir, opts->prev_images_dir, &server->err))
		return -1;
	server->dir.no_fsync = opts->no_fsync;
	if (!open_signals(server) &&
	    !(opts->ps_socket >= 0 ? take_socket(server) : open_listener(server)) &&
	    !status_fd_tell(opts->status_fd, &server->err))
		return 0;
	end_all(server);
	image_dir_close(&server->dir);
	return -1;
}

static void tell_result(struct page_server *server)
{
	json_t *fields = figures(server->images, &server->counts);

	if (error_is_set(&server->err))
		report_error(&server->err);
	json_object_set_new(fields, "exit", json_integer(server->err.code));
	json_object_set_new(fields, "class", json_string(error_code_name(server->err.code)));
	json_object_set_new(fields, "complete", json_integer(server->complete));
	json_object_set_new(fields, "failed", json_integer(server->failed));
	json_object_set_new(fields, "strangers", json_integer(server->strangers));
	report_event("result", fields);
}

int page_server_run(const struct page_server_options *opts)
{
	struct page_server server = { .opts = *opts, .listener.fd = -1, .signals = -1, .wake_fd = -1 };

	if (!begin(&server)) {
		serve(&server);
		listener_close(&server.listener);
		end_all(&server);
		image_dir_close(&server.dir);
	}
	tell_result(&server);
	tls_trust_free(server.trust);
	if (server.signals >= 0)
		close(server.signals);
	if (server.wake_fd >= 0)
		close(server.wake_fd);
	return server.err.code;
}
