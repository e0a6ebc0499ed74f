// SPDX-License-Identifier: GPL-2.0
/* Sockets, and the servers that the program talks to. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "lossy.h"

static int listener = -1;
static int servers[4], nr_servers;

void lossy_add_server(int fd)
{
	servers[nr_servers++] = fd;
}

void lossy_tell_servers(const char *line)
{
	for (int i = 0; i < nr_servers; i++)
		if (write(servers[i], line, strlen(line)) < 0)
			warn("server %d", i);
}

/* The other end is in the parent. */
static void outer_pair(const char *arg)
{
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "socketpair");
	leave_parent(fds[0]);
	close(fds[1]);
}

static int connect_unix(const char *path, int type)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	must(fd, "socket");
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	must(connect(fd, (void *)&addr, sizeof(addr)), path);
	return fd;
}

static void stream_server(const char *arg)
{
	lossy_add_server(connect_unix(arg, SOCK_STREAM));
}

static void datagram_server(const char *arg)
{
	lossy_add_server(connect_unix(arg, SOCK_DGRAM));
}

/* As systemd connects a unit's output. */
static void journal(const char *arg)
{
	static const char header[] = "the-unit\nlossy.service\n5\n1\n0\n0\n0\n";
	int fd = connect_unix("/run/systemd/journal/stdout", SOCK_STREAM);

	must(shutdown(fd, SHUT_RD), "shutdown");
	must(write(fd, header, strlen(header)), "write");
	must(dup2(fd, 1), "dup2");
	close(fd);
}

static void inner_pair(const char *arg)
{
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "socketpair");
}

static void other_socket(const char *arg)
{
	must(socket(atoi(arg), SOCK_STREAM, 0), "socket");
}

static void listen_on(const char *arg)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(atoi(arg)) };
	int one = 1;

	listener = socket(AF_INET, SOCK_STREAM, 0);
	must(listener, "socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(listener, (void *)&addr, sizeof(addr)), "bind");
	must(listen(listener, 2), "listen");
}

/* ADDRESS:PORT, of datagrams. */
static void bound(const char *arg)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	char text[32];
	int port, fd;

	if (sscanf(arg, "%31[^:]:%d", text, &port) != 2 || !inet_aton(text, &addr.sin_addr))
		errx(2, "bound: %s", arg);
	addr.sin_port = htons(port);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	must(bind(fd, (void *)&addr, sizeof(addr)), arg);
}

static int connect_at(struct in_addr at)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(getsockname(listener, (void *)&addr, &len), "getsockname");
	addr.sin_addr = at;
	must(connect(fd, (void *)&addr, sizeof(addr)), "connect");
	return fd;
}

static int connect_self(void)
{
	return connect_at((struct in_addr){ htonl(INADDR_LOOPBACK) });
}

/* One end FIN_WAIT2, the other CLOSE_WAIT; and one, at the address @arg, whose peer has reset it. */
static void half_closed(const char *arg)
{
	struct linger linger = { .l_onoff = 1 };
	int fd = connect_self();
	struct in_addr at;

	must(accept(listener, NULL, NULL), "accept");
	must(shutdown(fd, SHUT_WR), "shutdown");
	if (!inet_aton(arg, &at))
		errx(2, "half-closed: %s", arg);
	fd = connect_at(at);
	must(accept(listener, NULL, NULL), "accept");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void in_flight(const char *arg)
{
	for (int i = atoi(arg); i > 0; i--)
		connect_self();
}

static void datagram(const char *arg)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	must(bind(fd, (void *)&addr, sizeof(addr)), "bind");
	must(getsockname(fd, (void *)&addr, &len), "getsockname");
	must(sendto(fd, "x", 1, 0, (void *)&addr, len), "sendto");
}

/* An option that each accepted connection inherits, and one of a string. */
static void options(const char *arg)
{
	int one = 1;

	must(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "TCP_NODELAY");
	must(setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), "TCP_CONGESTION");
}

void lossy_serve_one(void)
{
	int fd = accept(listener, NULL, NULL);

	must(fd, "accept");
	must(write(fd, "moved\n", 6), "write");
	close(fd);
}

const struct lossy_thing lossy_sockets[] = {
	{ "outer-pair", outer_pair },
	{ "inner-pair", inner_pair },
	{ "listener", listen_on },
	{ "half-closed", half_closed },
	{ "in-flight", in_flight },
	{ "datagram", datagram },
	{ "options", options },
	{ "stream", stream_server },
	{ "bound", bound },
	{ "socket", other_socket },
	{ "datagrams", datagram_server },
	{ "journal", journal },
	{ 0 },
};
