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
#include "services/lazy_source.h"
#include "wire/conn.h"

#define RETRY_MS	1000

static int watch_fd(struct lazy_source *source, int fd, struct error *err)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	if (epoll_ctl(source->epoll, EPOLL_CTL_ADD, fd, &event))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot wait for the page server");
	return 0;
}

static int use(struct lazy_source *source, int fd, struct error *err)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	lazy_link_use(&source->link, fd);
	return watch_fd(source, fd, err);
}

static void tell_connected(const struct lazy_source *source)
{
	char text[384];

	snprintf(text, sizeof(text), "connected with the page server%s%s", *source->peer ? " at " : "", source->peer);
	report_both("connected", json_pack("{s:o,s:I}", "peer", report_text(source->peer), "losses",
					   (json_int_t)source->losses), text);
}

static int connect_to(struct lazy_source *source, struct error *err)
{
	int fd = conn_dial(source->where, err);

	if (fd < 0) {
		snprintf(err->hint, sizeof(err->hint),
			 "criu dump --lazy-pages listens when it has written to its --status-fd");
		return -1;
	}
	snprintf(source->peer, sizeof(source->peer), "%.63s", source->where);
	if (use(source, fd, err))
		return -1;
	tell_connected(source);
	return 0;
}

static int listen_at(struct lazy_source *source, struct error *err)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char name[64], text[128];

	source->listen_fd = conn_listen(source->where, err);
	if (source->listen_fd < 0)
		return -1;
	fcntl(source->listen_fd, F_SETFL, fcntl(source->listen_fd, F_GETFL) | O_NONBLOCK);
	getsockname(source->listen_fd, (void *)&addr, &len);
	conn_address_text(&addr, len, name, sizeof(name));
	snprintf(text, sizeof(text), "waiting for the page server of criu dump --lazy-pages at %s", name);
	report_both("listening", json_pack("{s:i}", "port",
					   ntohs(addr.ss_family == AF_INET6 ?
						 ((struct sockaddr_in6 *)&addr)->sin6_port :
						 ((struct sockaddr_in *)&addr)->sin_port)), text);
	return watch_fd(source, source->listen_fd, err);
}

/* No second page server can take part: the listener goes when one is there. */
static bool accept_one(struct lazy_source *source)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct error err = { 0 };
	int fd = accept4(source->listen_fd, (void *)&addr, &len, SOCK_CLOEXEC);

	if (fd < 0)
		return false;
	conn_tune(fd);
	conn_address_text(&addr, len, source->peer, sizeof(source->peer));
	close(source->listen_fd);
	source->listen_fd = -1;
	if (use(source, fd, &err)) {
		report_error(&err);
		return false;
	}
	tell_connected(source);
	return true;
}

static int take_given(struct lazy_source *source, int fd, struct error *err)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_STREAM)
		return error_set(err, CODE_USAGE, NULL, "descriptor %d is no stream socket", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	source->link.force = true;
	return use(source, fd, err);
}

int lazy_source_open(struct lazy_source *source, const struct lazy_pages_options *opts, size_t form, int epoll,
		     struct error *err)
{
	*source = (struct lazy_source){ .listen = opts->listen, .epoll = epoll, .listen_fd = -1 };
	if (lazy_link_init(&source->link, err))
		return -1;
	source->link.form = form;
	if (opts->ps_socket >= 0)
		return take_given(source, opts->ps_socket, err);
	conn_where(opts->address, opts->port, source->where, sizeof(source->where));
	return source->listen ? listen_at(source, err) : connect_to(source, err);
}

bool lazy_source_try(struct lazy_source *source)
{
	struct error err = { 0 };

	if (source->link.fd >= 0 || !*source->where)
		return false;
	if (source->listen_fd >= 0)
		return accept_one(source);
	if (clock_now_ms() < source->retry_ms)
		return false;
	source->retry_ms = clock_now_ms() + RETRY_MS;
	if (source->listen)
		return listen_at(source, &err), false;
	return !connect_to(source, &err);
}

void lazy_source_lost(struct lazy_source *source, const struct error *why)
{
	static const char advice[] = "the restored program waits for the pages that it lacks, and gets no zeros for them";
	char text[1024];

	source->losses++;
	if (source->link.wrong)
		snprintf(text, sizeof(text),
			 "%s: nothing more is taken from there; %s. Without another source it can only be killed",
			 why->what, advice);
	else
		snprintf(text, sizeof(text), "%s; %s; %s", why->what, advice,
			 !*source->where ? "the connection was given, and cannot be made again" :
			 source->listen ? "a page server with the same memory may connect again" :
			 "trying again each second");
	report_both(source->link.wrong ? "wrong" : "lost",
		    json_pack("{s:o,s:s,s:I}", "peer", report_text(source->peer), "class",
			      error_code_name(why->code), "losses", (json_int_t)source->losses), text);
	if (source->link.wrong)
		/* to close it would end the dump */
		epoll_ctl(source->epoll, EPOLL_CTL_DEL, source->link.fd, NULL);
	else
		lazy_link_lost(&source->link);
	source->retry_ms = clock_now_ms() + RETRY_MS;
}

void lazy_source_watch(struct lazy_source *source)
{
	struct epoll_event event = {
		.events = EPOLLIN | (lazy_link_wants_out(&source->link) ? EPOLLOUT : 0), .data.ptr = source,
	};

	if (lazy_link_is_open(&source->link))
		epoll_ctl(source->epoll, EPOLL_CTL_MOD, source->link.fd, &event);
}

void lazy_source_close(struct lazy_source *source)
{
	if (source->listen_fd >= 0)
		close(source->listen_fd);
	source->listen_fd = -1;
	lazy_link_free(&source->link);
}
