// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/text.h"
#include "wire/conn.h"
#include "wire/ktls.h"
#include "wire/unix.h"

#define CONN_VERSION	1
#define CONNECT_MS	10000
#define RETRY_MS	1000	/* longest pause before what was not acknowledged is sent again */
#define WATCHED_PROBES	10	/* a second each: an idle connection outlives what the busy ones do */
#define TLS_HELLO	0x0316		/* first bytes of a TLS connection */
#define TLS_HELLO_MASK	0xffff
#define HOST_MAX	256
#define NOTE_BYTES	200
#define PORT_MAX	8

#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS	44
#endif

_Static_assert(sizeof(struct conn_preamble) == 32, "the preamble is 32 bytes on the wire");

/* Accepts 0 to 65535, in digits only. For port 0 the kernel chooses a free port. */
static bool is_port(const char *text)
{
	size_t len = strlen(text);

	return len && len <= 5 && strspn(text, "0123456789") == len && atoi(text) <= 65535;
}

/* Split "HOST:PORT", "[v6]:PORT", ":PORT", "HOST" or "v6" into host and port. */
static int split_where(const char *where, char *host, size_t host_size, char *port,
		       struct error *err)
{
	const char *colon = strrchr(where, ':'), *end = where + strlen(where);
	size_t len;

	if (*where == '[') {
		end = strchr(where++, ']');
		if (!end || (end[1] && end[1] != ':'))
			return error_set(err, CODE_USAGE, "write it as [ADDRESS]:PORT",
					 "\"%s\" is no address", where - 1);
		colon = end[1] ? end + 1 : NULL;
	} else if (colon && colon != strchr(where, ':')) {
		colon = NULL;
	} else if (colon) {
		end = colon;
	}
	len = end - where;
	if (len >= host_size)
		return error_set(err, CODE_USAGE, "write it as HOST:PORT",
				 "\"%s\" is no address", where);
	if (colon && !is_port(colon + 1))
		return error_set(err, CODE_USAGE,
				 "write it as HOST:PORT, with a number from 1 to 65535",
				 "\"%s\" in \"%s\" is no port", colon + 1, where);
	memcpy(host, where, len);
	host[len] = 0;
	strcpy(port, colon ? colon + 1 : CONN_DEFAULT_PORT);
	return 0;
}

int conn_check_where(const char *where, bool insecure, struct error *err)
{
	char host[HOST_MAX], port[PORT_MAX];

	if (unix_path(where))
		return unix_check(unix_path(where), err);
	if (split_where(where, host, sizeof(host), port, err))
		return -1;
	if (insecure)
		return 0;
	return error_set(err, CODE_USAGE,
			 "use unix:PATH, which ssh -L carries to another machine; or say --insecure on both sides if the network is yours alone",
			 "memory would go over \"%.100s\" without encryption, and every program that reaches that address could take part",
			 where);
}

static struct addrinfo *resolve(const char *where, bool listening, struct error *err)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG | (listening ? AI_PASSIVE : 0),
	};
	struct addrinfo *list = NULL;
	char host[HOST_MAX], port[PORT_MAX];
	int ret;

	if (split_where(where, host, sizeof(host), port, err))
		return NULL;
	ret = getaddrinfo(*host ? host : NULL, port, &hints, &list);
	/* on a machine with loopback alone AI_ADDRCONFIG finds no address */
	if (ret) {
		hints.ai_flags &= ~AI_ADDRCONFIG;
		ret = getaddrinfo(*host ? host : NULL, port, &hints, &list);
	}
	if (!ret)
		return list;
	error_set(err, CODE_NETWORK, "check the name and the port", "cannot resolve \"%s\": %s",
		  where, gai_strerror(ret));
	return NULL;
}

static int try_listen(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(fd, ai->ai_addr, ai->ai_addrlen) && !listen(fd, 64))
		return fd;
	close(fd);
	return -1;
}

static const char *listen_hint(int os_errno)
{
	switch (os_errno) {
	case EADDRNOTAVAIL:
		return "this machine has no such address: look at \"ip addr\"";
	case EACCES:
		return "only root may take a port below 1024";
	default:
		return "is another program on that port?";
	}
}

int conn_listen(const char *where, struct error *err)
{
	struct addrinfo *list;
	int fd = -1;

	if (unix_path(where))
		return unix_listen(unix_path(where), err);
	list = resolve(where, true, err);
	if (!list)
		return -1;
	/* prefers IPv6, whose wildcard address accepts IPv4 connections too */
	for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		if (ai->ai_family == AF_INET6)
			fd = try_listen(ai);
	for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		if (ai->ai_family != AF_INET6)
			fd = try_listen(ai);
	if (fd < 0)
		error_errno(err, CODE_NETWORK, listen_hint(errno),
			    "cannot listen on \"%s\"", where);
	freeaddrinfo(list);
	return fd;
}

/* A UNIX socket refuses these options, and needs none. */
static void keep_alive(int fd, int idle, int interval, int count)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

void conn_tune(int fd)
{
	keep_alive(fd, 2, 1, 3);
}

void conn_be_patient(int fd)
{
	keep_alive(fd, 30, 10, 9);
}

void conn_tune_watched(int fd)
{
	int most = RETRY_MS;

	keep_alive(fd, 2, 1, WATCHED_PROBES);
	/* since Linux 6.15; else twice the pause each time: the data wait on when the link is back */
	setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &most, sizeof(most));
}

int64_t conn_silent_ms(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int unread = 0;

	if (ioctl(fd, FIONREAD, &unread) || unread || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return 0;
	return info.tcpi_last_data_recv;
}

static int try_connect(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int error = 0, ret;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return -1;
	conn_tune(fd);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen)) {
		error = errno;
		if (error == EINPROGRESS) {
			do {
				ret = poll(&pfd, 1, CONNECT_MS);
			} while (ret < 0 && errno == EINTR);
			error = ETIMEDOUT;
			if (ret > 0)
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
		}
	}
	if (!error) {
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
		return fd;
	}
	close(fd);
	errno = error;
	return -1;
}

static int connect_tcp(const char *where, struct error *err)
{
	struct addrinfo *list = resolve(where, false, err);
	int fd = -1;

	if (!list)
		return -1;
	for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = try_connect(ai);
	if (fd < 0)
		error_errno(err, CODE_NETWORK,
			    "does anything listen there (\"migrate-helper serve\", for one), and does the firewall let the port through?",
			    "cannot connect to \"%s\"", where);
	freeaddrinfo(list);
	return fd;
}

void conn_where(const char *host, unsigned long port, char *where, size_t size)
{
	snprintf(where, size, strchr(host, ':') ? "[%s]:%lu" : "%s:%lu", host, port);
}

int conn_dial(const char *where, struct error *err)
{
	return unix_path(where) ? unix_connect(unix_path(where), err) : connect_tcp(where, err);
}

int conn_host(const char *where, char *host, size_t size, struct error *err)
{
	char port[PORT_MAX];

	return split_where(where, host, size, port, err);
}

int conn_write_preamble(const struct conn *conn, const uint8_t *id, struct error *err)
{
	struct conn_preamble pre = {
		.magic = htole32(CONN_MAGIC), .version = htole16(CONN_VERSION), .kind = conn->kind,
		/* an end that knows of one stream only takes no preamble that has a number here */
		.index = conn->index, .streams = conn->streams > 1 ? conn->streams : 0,
	};

	memcpy(pre.id, id, sizeof(pre.id));
	return conn_write(conn, &pre, sizeof(pre), 0, err);
}

int conn_introduce(struct conn *conn, const uint8_t *id, struct error *err)
{
	conn_tune_watched(conn_link_fd(conn));
	if (!conn_write_preamble(conn, id, err))
		return 0;
	conn_close(conn);
	return -1;
}

void conn_address_text(const struct sockaddr_storage *addr, socklen_t len, char *name, size_t size)
{
	const struct sockaddr_un *un = (const void *)addr;
	char host[64] = "?", port[8] = "?";

	if (addr->ss_family == AF_UNIX) {
		/* the client's end of a UNIX socket has no name */
		bool named = len > offsetof(struct sockaddr_un, sun_path) && *un->sun_path;

		snprintf(name, size, UNIX_PREFIX "%s", named ? un->sun_path : "");
		return;
	}
	getnameinfo((const void *)addr, len, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(name, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static int check_stream(struct conn_preamble *pre, struct error *err)
{
	uint8_t streams = pre->streams ?: 1;

	if (streams > STREAMS_MAX || pre->index >= streams || (pre->kind != CONN_MEMORY && pre->index) ||
	    (pre->kind == CONN_URGENT && pre->streams))
		return error_set(err, CODE_PEER, NULL, "its preamble is wrong: stream %u of %u, of %d at most", pre->index,
				 pre->streams, STREAMS_MAX);
	pre->streams = streams;
	return 0;
}

int conn_check_preamble(struct conn_preamble *pre, struct error *err)
{
	static const uint8_t zero[sizeof(pre->pad)];

	pre->magic = le32toh(pre->magic);
	pre->version = le16toh(pre->version);
	if ((pre->magic & TLS_HELLO_MASK) == TLS_HELLO)
		return error_set(err, CODE_PEER, NULL, "it speaks TLS, and this end has no keys, or was told --insecure or --insecure-fds");
	if (pre->magic != CONN_MAGIC)
		return error_set(err, CODE_PEER, NULL, "it does not speak our protocol");
	if (pre->version != CONN_VERSION)
		return error_set(err, CODE_PEER, "use the same version on both sides",
				 "it speaks version %u of the protocol, this is version %u",
				 pre->version, CONN_VERSION);
	if (pre->kind < CONN_CONTROL || pre->kind > CONN_URGENT || memcmp(pre->pad, zero, sizeof(zero)))
		return error_set(err, CODE_PEER, NULL, "its preamble is wrong");
	return check_stream(pre, err);
}

bool conn_is_other_version(const struct conn_preamble *pre)
{
	return pre->magic == CONN_MAGIC && pre->version != CONN_VERSION;
}

static int wait_for(int fd, short events, int timeout_ms, struct error *err)
{
	int64_t until = clock_now_ms() + timeout_ms;
	struct pollfd pfd = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = timeout_ms <= 0 ? -1 : until - clock_now_ms();
		int ret = poll(&pfd, 1, timeout_ms > 0 && left < 0 ? 0 : (int)left);

		if (ret > 0)
			return 0;
		if (!ret)
			return error_set(err, CODE_NETWORK, NULL,
					 "link lost: nothing moved for %d ms", timeout_ms);
		if (errno != EINTR)
			return error_errno(err, CODE_NETWORK, NULL, "cannot wait for the link");
	}
}

void conn_shutdown(const struct conn *conn)
{
	if (conn->fd >= 0)
		shutdown(conn->fd, SHUT_RDWR);
}

void conn_close(struct conn *conn)
{
	/* not of control, which the destination's keeper may still have a word to say on */
	if (conn->in_kernel && conn->fd >= 0 && conn->kind != CONN_CONTROL)
		ktls_close_notify(conn->fd);
	conn_drop(conn);
}

void conn_drop(struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	if (conn->tcp > 0)
		close(conn->tcp);
	if (conn->note > 0)
		close(conn->note);
	conn->fd = -1;
	conn->tcp = conn->note = 0;
}

int conn_lost(const struct conn *conn, const char *what, struct error *err)
{
	char said[NOTE_BYTES + 1], text[NOTE_BYTES + 1];
	ssize_t n = conn->note > 0 ? recv(conn->note, said, NOTE_BYTES, MSG_DONTWAIT) : 0;

	if (n <= 0)
		return error_set(err, CODE_NETWORK, NULL, "link lost: %s", what);
	/* the process may have fallen to a stranger */
	said[n] = 0;
	text_printable(text, sizeof(text), said);
	/* a lost link, whatever the reason: a COMMIT that came before it counts (mailbox_commit()) */
	return error_set(err, CODE_NETWORK, NULL, "link lost: %s", text);
}

ssize_t conn_read_now(const struct conn *conn, void *buf, size_t bytes)
{
	return conn->in_kernel ? ktls_recv(conn->fd, buf, bytes, MSG_DONTWAIT) :
	       recv(conn->fd, buf, bytes, MSG_DONTWAIT);
}

ssize_t conn_write_now(const struct conn *conn, const void *buf, size_t bytes)
{
	return send(conn->fd, buf, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t conn_read_some(const struct conn *conn, void *buf, size_t bytes, int timeout_ms,
		       struct error *err)
{
	struct pollfd pfd = { .fd = conn->fd, .events = POLLIN };
	ssize_t n;
	int ret;

	do {
		ret = poll(&pfd, 1, timeout_ms);
		if (!ret)
			return error_set(err, CODE_NETWORK, NULL,
					 "link lost: nothing came for %d ms", timeout_ms);
		n = ret < 0 ? -1 : conn_read_now(conn, buf, bytes);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return n < 0 ? error_errno(err, CODE_NETWORK, NULL, "link lost while receiving") : n;
}

int conn_write(const struct conn *conn, const void *buf, size_t bytes, int timeout_ms,
	       struct error *err)
{
	const char *at = buf;

	while (bytes) {
		ssize_t n = conn_write_now(conn, at, bytes);

		if (n >= 0) {
			at += n;
			bytes -= n;
		} else if (errno == EAGAIN) {
			if (wait_for(conn->fd, POLLOUT, timeout_ms, err))
				return -1;
		} else if (errno != EINTR) {
			return error_errno(err, CODE_NETWORK, NULL, "link lost while sending");
		}
	}
	return 0;
}

int conn_read(const struct conn *conn, void *buf, size_t bytes, int timeout_ms,
	      struct error *err)
{
	char *at = buf;

	while (bytes) {
		ssize_t n = conn_read_now(conn, at, bytes);

		if (n > 0) {
			at += n;
			bytes -= n;
		} else if (!n) {
			return conn_lost(conn, "the other side closed it", err);
		} else if (errno == EAGAIN) {
			if (wait_for(conn->fd, POLLIN, timeout_ms, err))
				return -1;
		} else if (errno != EINTR) {
			return error_errno(err, CODE_NETWORK, NULL, "link lost while receiving");
		}
	}
	return 0;
}
