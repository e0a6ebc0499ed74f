// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <linux/in6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "os/inet_sockets.h"
#include "os/proc_files.h"
#include "source/refuse.h"

/* Sockets that have the option. TCP: without connection, or with one that is kept. */
#define IPV4	1
#define IPV6	2
#define TCP	4
#define CRIU4	8	/* CRIU 4.1.1 carries it */
#define LISTENER	16	/* any CRIU carries it with a connection */
#define MULTICAST	32	/* of a connection it means nothing */

/** struct socket_option - an option that CRIU 3.17.1 does not carry; @sockets: IPV4 | IPV6 | … */
struct socket_option {
	int sockets, level, number;
	const char *name;
};

#define SOCKET_OPTION(sockets, level, name)	{ sockets, level, name, #name }

static const struct socket_option options[] = {
	SOCKET_OPTION(IPV4 | IPV6, SOL_SOCKET, SO_TIMESTAMP),
	SOCKET_OPTION(IPV4 | IPV6, SOL_SOCKET, SO_TIMESTAMPNS),
	SOCKET_OPTION(IPV4 | IPV6, SOL_SOCKET, SO_TIMESTAMPING),
	SOCKET_OPTION(IPV4 | IPV6, SOL_SOCKET, SO_BUSY_POLL),
	SOCKET_OPTION(IPV4 | IPV6, SOL_SOCKET, SO_RXQ_OVFL),
	SOCKET_OPTION(IPV4 | IPV6, SOL_SOCKET, SO_ZEROCOPY),
	SOCKET_OPTION(IPV4 | CRIU4, IPPROTO_IP, IP_TOS),
	SOCKET_OPTION(IPV4 | CRIU4, IPPROTO_IP, IP_TTL),
	SOCKET_OPTION(IPV4 | CRIU4, IPPROTO_IP, IP_PKTINFO),
	SOCKET_OPTION(IPV4, IPPROTO_IP, IP_RECVTOS),
	SOCKET_OPTION(IPV4, IPPROTO_IP, IP_RECVTTL),
	SOCKET_OPTION(IPV4, IPPROTO_IP, IP_RECVERR),
	SOCKET_OPTION(IPV4, IPPROTO_IP, IP_MTU_DISCOVER),
	SOCKET_OPTION(IPV4 | MULTICAST, IPPROTO_IP, IP_MULTICAST_TTL),
	SOCKET_OPTION(IPV4 | MULTICAST, IPPROTO_IP, IP_MULTICAST_LOOP),
	SOCKET_OPTION(IPV4, IPPROTO_IP, IP_TRANSPARENT),
	SOCKET_OPTION(IPV4, IPPROTO_IP, IP_MINTTL),
	SOCKET_OPTION(IPV6, IPPROTO_IPV6, IPV6_UNICAST_HOPS),
	SOCKET_OPTION(IPV6, IPPROTO_IPV6, IPV6_TCLASS),
	SOCKET_OPTION(IPV6 | CRIU4, IPPROTO_IPV6, IPV6_RECVPKTINFO),
	SOCKET_OPTION(IPV6, IPPROTO_IPV6, IPV6_RECVERR),
	SOCKET_OPTION(IPV6 | MULTICAST, IPPROTO_IPV6, IPV6_MULTICAST_HOPS),
	SOCKET_OPTION(IPV6 | MULTICAST, IPPROTO_IPV6, IPV6_MULTICAST_LOOP),
	SOCKET_OPTION(IPV6, IPPROTO_IPV6, IPV6_TRANSPARENT),
	SOCKET_OPTION(LISTENER, IPPROTO_TCP, TCP_NODELAY),
	SOCKET_OPTION(TCP, IPPROTO_TCP, TCP_DEFER_ACCEPT),
	SOCKET_OPTION(TCP, IPPROTO_TCP, TCP_FASTOPEN),
	SOCKET_OPTION(TCP, IPPROTO_TCP, TCP_USER_TIMEOUT),
	SOCKET_OPTION(TCP, IPPROTO_TCP, TCP_SYNCNT),
	SOCKET_OPTION(TCP, IPPROTO_TCP, TCP_LINGER2),
	SOCKET_OPTION(TCP, IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	SOCKET_OPTION(TCP, IPPROTO_TCP, TCP_CONGESTION),
};

/* Return: the kinds of options that TCP socket @fd is looked at for; 0: a move closes it */
static int tcp_kinds(const struct inspection *look, int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (inet_socket_was_reset(fd))
		return 0;
	if (getpeername(fd, (void *)&peer, &len))
		return TCP | LISTENER;
	return look->opts->keeps_tcp || (look->tree && look->tree->own_network) ? TCP : 0;
}

static int get_int(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value = -1;

	getsockopt(fd, SOL_SOCKET, option, &value, &len);
	return value;
}

static bool is_connection(int sockets)
{
	return (sockets & (TCP | LISTENER)) == TCP;
}

/* True when the value of socket @fd differs from that of the new socket @fresh. */
static bool differs(int fd, int fresh, const struct socket_option *option)
{
	char value[32] = "", fresh_value[32] = "";
	socklen_t len = sizeof(value), fresh_len = sizeof(fresh_value);

	return !getsockopt(fd, option->level, option->number, value, &len) &&
	       !getsockopt(fresh, option->level, option->number, fresh_value, &fresh_len) &&
	       memcmp(value, fresh_value, sizeof(value));
}

static void compare(struct inspection *look, const struct proc_file *file, int fd, int fresh,
		    int sockets)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (options[i].sockets & sockets &&
		    !(options[i].sockets & CRIU4 && criu_is_4_1(look->criu)) &&
		    !(options[i].sockets & MULTICAST && is_connection(sockets)) &&
		    differs(fd, fresh, &options[i]))
			losses_add(look->losses, LOSS_SOCKET_OPTIONS, "%s of descriptor %d",
				   options[i].name, file->fd);
}

static int find_options(void *ctx, const struct proc_file *file, struct error *err)
{
	int fd, fresh = -1, domain, type, protocol, sockets;
	int tcp;

	if (!S_ISSOCK(file->st.st_mode))
		return 0;
	fd = proc_fd_get(((const struct inspection *)ctx)->process->pid, file->fd);
	if (fd < 0)
		return 0;
	domain = get_int(fd, SO_DOMAIN);
	type = get_int(fd, SO_TYPE);
	protocol = get_int(fd, SO_PROTOCOL);
	sockets = domain == AF_INET ? IPV4 : domain == AF_INET6 ? IPV4 | IPV6 : 0;
	if (protocol == IPPROTO_TCP) {
		tcp = tcp_kinds(ctx, fd);
		sockets = tcp ? sockets | tcp : 0;
	}
	if (sockets)
		fresh = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (fresh >= 0) {
		compare(ctx, file, fd, fresh, sockets);
		close(fresh);
	}
	close(fd);
	return 0;
}

int refuse_sockopts(struct inspection *look, const struct proc_files *files, struct error *err)
{
	return proc_files_each(files, find_options, look, err);
}
