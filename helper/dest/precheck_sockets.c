// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "dest/precheck_sockets.h"
#include "dest/probe.h"
#include "os/net_addresses.h"
#include "os/safe_path.h"
#include "os/unix_servers.h"

#define ANSWER_MS	10000

/** struct servers_asked - @here: read once, by the process that is asked */
struct servers_asked {
	const Migrate__Setup *setup;
	struct unix_servers *here;
};

/*
 * A look, and no connection: a source may name sockets of which only root may ask something. The
 * process ends when all is answered, so it may be left in another network namespace.
 */
static bool has_server(const void *ctx, size_t i)
{
	const struct servers_asked *asked = ctx;
	const Migrate__UnixServer *server = asked->setup->unix_servers[i];

	if (!i)
		unix_servers_read(asked->here);
	return unix_servers_has(asked->here, server->name, server->type);
}

/* CRIU connects as root, and follows links: a user of this machine would choose the server. */
static bool has_users_link(const void *ctx, size_t i)
{
	const struct servers_asked *asked = ctx;
	const Migrate__Setup *setup = asked->setup;
	const char *root = setup->root && strcmp(setup->root, "/") ? setup->root : "";
	char path[PATH_MAX];
	int fd;

	if (*setup->unix_servers[i]->name != '/' ||
	    snprintf(path, sizeof(path), "%s%s", root, setup->unix_servers[i]->name) >= PATH_MAX)
		return false;
	fd = safe_path_open(*root ? root : "/", path);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == ELOOP;
}

static void refuse_server(const Migrate__UnixServer *server, bool linked, struct refusals *refusals)
{
	if (linked)
		precheck_refuse(refusals, "descriptor %d of the program is connected to %s, and a part of that path is here a symbolic link that another user than root can have made: have the socket itself there, or make the link as root in a directory that only root can write to",
				server->fd, server->name);
	else
		precheck_refuse(refusals, "descriptor %d of the program is connected to %s, and here no server takes connections there: start it here",
				server->fd, server->name);
}

static void compare_servers(const Migrate__Setup *setup, bool *there, bool *linked,
			    struct refusals *refusals)
{
	struct unix_servers here = { 0 };
	const struct servers_asked asked = { .setup = setup, .here = &here };
	size_t nr = setup->n_unix_servers;
	long got = probe_run(has_server, &asked, there, nr, ANSWER_MS), told = 0;

	if (got >= 0)
		told = probe_run(has_users_link, &asked, linked, got, ANSWER_MS);
	if (got < 0 || told < 0) {
		precheck_refuse(refusals, "cannot look for the program's servers here: %s",
				strerror(errno));
		return;
	}
	for (size_t i = 0; i < nr; i++)
		if ((long)i >= told || !there[i] || linked[i])
			refuse_server(setup->unix_servers[i],
				      (long)i < told && there[i] && linked[i], refusals);
}

static socklen_t inet_address(const Migrate__InetAddress *from, bool with_port,
			      struct sockaddr_storage *to)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *v4 = (struct sockaddr_in *)to;
	in_port_t port = htons(with_port ? from->port : 0);

	memset(to, 0, sizeof(*to));
	if (from->address.len == sizeof(v4->sin_addr)) {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		memcpy(&v4->sin_addr, from->address.data, sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = port;
	memcpy(&v6->sin6_addr, from->address.data, sizeof(v6->sin6_addr));
	return sizeof(*v6);
}

/* It comes here with the program. */
static bool will_be_here(const Migrate__Setup *setup, const struct sockaddr_storage *name)
{
	struct net_address wanted, kept;

	for (size_t i = 0; net_address_of(name, &wanted) && i < setup->n_kept_addresses; i++)
		if (net_address_make(setup->kept_addresses[i].data, setup->kept_addresses[i].len,
				     &kept) && net_address_equals(&wanted, &kept))
			return true;
	return false;
}

/* Two questions about each address: has this machine the address, and is the port free? */
static bool can_be_bound(const void *ctx, size_t i)
{
	const Migrate__Setup *setup = ctx;
	const Migrate__InetAddress *address = setup->addresses[i / 2];
	int fd, one = 1, v6_only = address->v6_only;
	struct sockaddr_storage name;
	socklen_t bytes = inet_address(address, i % 2, &name);
	bool bound;

	fd = socket(name.ss_family, (address->stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	/*
	 * SO_REUSEADDR: recently closed connections do not occupy a port. With SO_REUSEPORT, or for
	 * UDP, bind() would share the port of another program. Without v6_only IPv4 and IPv6 share
	 * their ports.
	 */
	if (address->stream)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (name.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
	if (will_be_here(setup, &name))
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	bound = !bind(fd, (struct sockaddr *)&name, bytes);
	close(fd);
	return bound;
}

static void refuse_address(const Migrate__InetAddress *address, bool is_here,
			   struct refusals *refusals)
{
	const char *protocol = address->stream ? "TCP" : "UDP";
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(address->address.len == 4 ? AF_INET : AF_INET6, address->address.data, text,
		  sizeof(text));
	if (is_here)
		precheck_refuse(refusals, "descriptor %d of the program is bound to %s port %u of %s, and here another program has that port: end it (ss -lpn)",
				address->fd, protocol, address->port, text);
	else
		precheck_refuse(refusals, "descriptor %d of the program is bound to address %s (%s port %u), which no interface here has: add it (ip addr add)",
				address->fd, text, protocol, address->port);
}

static void compare_addresses(const Migrate__Setup *setup, bool *free_here,
			      struct refusals *refusals)
{
	size_t nr = setup->n_addresses;
	long got = probe_run(can_be_bound, setup, free_here, 2 * nr, ANSWER_MS);

	if (got != (long)(2 * nr)) {
		precheck_refuse(refusals, "cannot try the program's network addresses here: %s",
				got < 0 ? strerror(errno) : "no answer");
		return;
	}
	for (size_t i = 0; i < nr; i++)
		if (!free_here[2 * i] || !free_here[2 * i + 1])
			refuse_address(setup->addresses[i], free_here[2 * i], refusals);
}

void precheck_addresses(const Migrate__Setup *setup, struct refusals *refusals)
{
	bool *free_here = NULL, right = setup->n_addresses <= PRECHECK_MAX_SOCKETS;

	for (size_t i = 0; i < setup->n_addresses && right; i++)
		right = (setup->addresses[i]->address.len == 4 ||
			 setup->addresses[i]->address.len == 16) &&
			setup->addresses[i]->port > 0 && setup->addresses[i]->port <= UINT16_MAX;
	if (right)
		free_here = calloc(2 * setup->n_addresses + 1, sizeof(*free_here));
	if (free_here)
		compare_addresses(setup, free_here, refusals);
	else
		precheck_refuse(refusals, "the list of network addresses is wrong");
	free(free_here);
}

void precheck_servers(const Migrate__Setup *setup, struct refusals *refusals)
{
	bool *there;

	if (setup->n_unix_servers > PRECHECK_MAX_SOCKETS) {
		precheck_refuse(refusals, "the program has more than %d servers",
				PRECHECK_MAX_SOCKETS);
		return;
	}
	there = calloc(setup->n_unix_servers + 1, 2 * sizeof(*there));
	if (there)
		compare_servers(setup, there, there + setup->n_unix_servers, refusals);
	else
		precheck_refuse(refusals, "no memory for a list of servers");
	free(there);
}
