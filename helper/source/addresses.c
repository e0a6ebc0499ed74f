// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "os/inet_sockets.h"
#include "source/addresses.h"

#define STATE_CLOSE	7	/* of tcp_info */
#define STATE_LISTEN	10

static int number_of(int fd, int level, int option)
{
	socklen_t len = sizeof(int);
	int value = 0;

	return getsockopt(fd, level, option, &value, &len) ? 0 : value;
}

/* A connection is closed by the move, and its address is not needed any more. */
static bool is_connected_tcp(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) &&
	       info.tcpi_state != STATE_CLOSE && info.tcpi_state != STATE_LISTEN;
}

/* Bound to what need not be there, or to one interface of this machine. */
static bool is_special(int fd)
{
	char device[IFNAMSIZ] = "";
	socklen_t len = sizeof(device);

	return number_of(fd, IPPROTO_IP, IP_FREEBIND) || number_of(fd, IPPROTO_IP, IP_TRANSPARENT) ||
	       (!getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &len) && *device);
}

static bool take_name(int fd, Migrate__InetAddress *to, uint8_t *bytes)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} name = { 0 };
	socklen_t len = sizeof(name);

	if (getsockname(fd, &name.any, &len))
		return false;
	to->address.data = bytes;
	if (name.any.sa_family == AF_INET) {
		to->address.len = sizeof(name.v4.sin_addr);
		memcpy(bytes, &name.v4.sin_addr, to->address.len);
		to->port = ntohs(name.v4.sin_port);
	} else if (name.any.sa_family == AF_INET6) {
		to->address.len = sizeof(name.v6.sin6_addr);
		memcpy(bytes, &name.v6.sin6_addr, to->address.len);
		to->port = ntohs(name.v6.sin6_port);
		to->has_v6_only = true;
		to->v6_only = number_of(fd, IPPROTO_IPV6, IPV6_V6ONLY);
		/* a number of an interface of this machine */
		if (name.v6.sin6_scope_id)
			return false;
	}
	return to->port != 0;
}

static bool take_socket(int fd, Migrate__InetAddress *to, uint8_t *bytes)
{
	int type = number_of(fd, SOL_SOCKET, SO_TYPE);

	to->stream = type == SOCK_STREAM;
	return (type == SOCK_STREAM || type == SOCK_DGRAM) && take_name(fd, to, bytes) &&
	       !(to->stream && (is_connected_tcp(fd) || inet_socket_was_reset(fd))) &&
	       !is_special(fd);
}

static bool is_there(const struct addresses *all, const Migrate__InetAddress *item)
{
	for (size_t i = 0; i < all->nr; i++) {
		const Migrate__InetAddress *other = &all->items[i];

		if (other->port == item->port && other->stream == item->stream &&
		    other->v6_only == item->v6_only && other->address.len == item->address.len &&
		    !memcmp(other->address.data, item->address.data, item->address.len))
			return true;
	}
	return false;
}

static int add(struct addresses *all, const Migrate__InetAddress *item, struct error *err)
{
	Migrate__InetAddress *items;
	uint8_t *bytes;

	if (all->nr == ADDRESSES_MAX || is_there(all, item))
		return 0;
	items = realloc(all->items, (all->nr + 1) * sizeof(*items));
	bytes = malloc(item->address.len);
	all->items = items ?: all->items;
	if (!items || !bytes) {
		free(bytes);
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
	}
	memcpy(bytes, item->address.data, item->address.len);
	items[all->nr] = *item;
	items[all->nr++].address.data = bytes;
	return 0;
}

static int take_file(void *ctx, const struct proc_file *file, struct error *err)
{
	Migrate__InetAddress item = MIGRATE__INET_ADDRESS__INIT;
	uint8_t bytes[sizeof(struct in6_addr)];
	int fd, ret = 0;

	if (!S_ISSOCK(file->st.st_mode))
		return 0;
	fd = proc_fd_get(file->pid, file->fd);
	if (fd < 0)
		return 0;
	item.fd = file->fd;
	if (take_socket(fd, &item, bytes))
		ret = add(ctx, &item, err);
	close(fd);
	return ret;
}

int addresses_find(const struct proc_files *files, struct addresses *all, struct error *err)
{
	int ret = proc_files_each(files, take_file, all, err);

	free(all->list);
	all->list = calloc(all->nr + 1, sizeof(*all->list));
	if (!ret && !all->list)
		ret = error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
	for (size_t i = 0; i < all->nr && all->list; i++)
		all->list[i] = &all->items[i];
	return ret;
}

void addresses_free(struct addresses *all)
{
	for (size_t i = 0; i < all->nr; i++)
		free(all->items[i].address.data);
	free(all->items);
	free(all->list);
	memset(all, 0, sizeof(*all));
}
