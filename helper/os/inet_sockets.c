// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "os/inet_sockets.h"

#define STATE_CLOSE	7	/* of tcp_info */

static int compare(const void *left, const void *right)
{
	const struct inet_socket *a = left, *b = right;

	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

static int add(struct inet_sockets *all, const struct inet_socket *socket)
{
	struct inet_socket *items = all->items;

	if (!(all->nr & (all->nr - 1)))
		items = reallocarray(items, all->nr ? 2 * all->nr : 1, sizeof(*items));
	if (!items)
		return -1;
	all->items = items;
	items[all->nr++] = *socket;
	return 0;
}

static int read_table(pid_t pid, const char *table, struct inet_sockets *all)
{
	char path[40], line[512];
	FILE *file;
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, table);
	file = fopen(path, "re");
	/* a kernel without IPv6 has fewer tables */
	if (!file && errno != ENOENT)
		ret = -1;
	while (!ret && file && fgets(line, sizeof(line), file)) {
		struct inet_socket socket = { .tcp = table[0] == 't' };

		/* 0: a connection in TIME_WAIT, or one that waits for accept(), is no process's */
		if (sscanf(line, " %*d: %*s %*s %x %*x:%x %*s %*s %*s %*s %lu", &socket.state,
			   &socket.queue, &socket.inode) == 3 && socket.inode)
			ret = add(all, &socket);
	}
	if (file)
		fclose(file);
	return ret;
}

int inet_sockets_read(pid_t pid, struct inet_sockets *all, struct error *err)
{
	static const char *const tables[] = { "tcp", "tcp6", "udp", "udp6", "raw", "raw6" };

	memset(all, 0, sizeof(*all));
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		if (!read_table(pid, tables[i], all))
			continue;
		inet_sockets_free(all);
		return error_errno(err, CODE_INTERNAL, NULL, "cannot list the sockets of process %d", pid);
	}
	if (all->nr)
		qsort(all->items, all->nr, sizeof(*all->items), compare);
	return 0;
}

const struct inet_socket *inet_sockets_find(const struct inet_sockets *all, unsigned long inode)
{
	struct inet_socket key = { .inode = inode };

	return all->nr ? bsearch(&key, all->items, all->nr, sizeof(key), compare) : NULL;
}

void inet_sockets_free(struct inet_sockets *all)
{
	free(all->items);
	memset(all, 0, sizeof(*all));
}

bool inet_socket_was_reset(int fd)
{
	socklen_t len = sizeof(int), info_len = sizeof(struct tcp_info);
	struct tcp_info info = { 0 };
	int protocol = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) &&
	       protocol == IPPROTO_TCP &&
	       !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) &&
	       info.tcpi_state == STATE_CLOSE && info.tcpi_segs_in > 1;
}
