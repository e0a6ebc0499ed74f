// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <linux/sock_diag.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/text.h"
#include "os/inet_orphans.h"
#include "os/sock_diag.h"

/* Of a program that has closed its socket; in FIN_WAIT2 all is acknowledged. */
#define STATES	(1U << TCP_FIN_WAIT1 | 1U << TCP_LAST_ACK | 1U << TCP_CLOSING)

struct walk {
	const struct net_addresses *addresses;
	struct inet_orphans *all;
	bool no_memory;
};

static bool address_of(uint8_t family, const uint32_t *bytes, struct net_address *address)
{
	struct sockaddr_storage name = { .ss_family = family };

	if (family == AF_INET)
		memcpy(&((struct sockaddr_in *)&name)->sin_addr, bytes, sizeof(struct in_addr));
	else
		memcpy(&((struct sockaddr_in6 *)&name)->sin6_addr, bytes, sizeof(struct in6_addr));
	return net_address_of(&name, address);
}

static void add(struct walk *walk, const struct inet_orphan *orphan)
{
	struct inet_orphans *all = walk->all;
	struct inet_orphan *items = all->items;

	if (!(all->nr & (all->nr - 1)))
		items = reallocarray(items, all->nr ? 2 * all->nr : 1, sizeof(*items));
	walk->no_memory |= !items;
	if (!items)
		return;
	all->items = items;
	items[all->nr++] = *orphan;
}

static int take(struct nl_msg *msg, void *arg)
{
	const struct inet_diag_msg *diag = nlmsg_data(nlmsg_hdr(msg));
	struct inet_orphan orphan = { 0 };
	struct walk *walk = arg;
	struct net_address own;

	if (nlmsg_datalen(nlmsg_hdr(msg)) < (int)sizeof(*diag))
		return NL_SKIP;
	/* the inode of a socket that a descriptor leads to is not 0 */
	if (diag->idiag_inode || !diag->idiag_wqueue ||
	    !address_of(diag->idiag_family, diag->id.idiag_src, &own) ||
	    (walk->addresses && !net_addresses_have(walk->addresses, &own)) ||
	    !address_of(diag->idiag_family, diag->id.idiag_dst, &orphan.peer))
		return NL_OK;
	orphan.family = diag->idiag_family;
	orphan.id = diag->id;
	orphan.cookie = (uint64_t)diag->id.idiag_cookie[1] << 32 | diag->id.idiag_cookie[0];
	orphan.port = ntohs(diag->id.idiag_dport);
	orphan.bytes = diag->idiag_wqueue;
	add(walk, &orphan);
	return NL_OK;
}

static int read_family(struct nl_sock *sock, uint8_t family)
{
	struct inet_diag_req_v2 request = {
		.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = STATES,
	};

	return nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request, sizeof(request)) < 0 ||
	       nl_recvmsgs_default(sock) < 0 ? -1 : 0;
}

static int orphans_read(pid_t pid, const struct net_addresses *addresses, struct inet_orphans *all,
			struct error *err)
{
	struct walk walk = { .addresses = addresses, .all = all };
	struct nl_sock *sock = nl_socket_alloc();
	int ret = -1;

	*all = (struct inet_orphans){ .nr = 0 };
	if (sock) {
		nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, take, &walk);
		ret = sock_diag_connect(sock, pid) || read_family(sock, AF_INET) ||
		      read_family(sock, AF_INET6) || walk.no_memory ? -1 : 0;
		nl_socket_free(sock);
	}
	if (!ret)
		return 0;
	inet_orphans_free(all);
	return error_set(err, CODE_INTERNAL, "modprobe tcp_diag",
			 "cannot list the connections that a program has closed (inet_diag)");
}

int inet_orphans_read(const struct net_addresses *addresses, struct inet_orphans *all,
		      struct error *err)
{
	return orphans_read(0, addresses, all, err);
}

int inet_orphans_read_in(pid_t pid, struct inet_orphans *all, struct error *err)
{
	return orphans_read(pid, NULL, all, err);
}

/* Return: 0, or the negative code of libnl */
static int end_one(struct nl_sock *sock, uint8_t family, const struct inet_diag_sockid *id)
{
	struct inet_diag_req_v2 request = {
		.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0U, .id = *id,
	};
	int ret = nl_send_simple(sock, SOCK_DESTROY, NLM_F_ACK, &request, sizeof(request));

	return ret < 0 ? ret : nl_wait_for_ack(sock);
}

/* Return: 0, or the code of the first that could not be ended; it may have ended by itself, too */
static int end_all(const struct inet_orphans *all)
{
	struct nl_sock *sock = nl_socket_alloc();
	int first = sock ? sock_diag_connect(sock, 0) : -NLE_NOMEM;

	for (size_t i = 0; i < all->nr && sock; i++) {
		int ret = end_one(sock, all->items[i].family, &all->items[i].id);

		first = first ?: ret;
	}
	nl_socket_free(sock);
	return first;
}

/*
 * A kernel before 6.11 without "tcp: fix forever orphan socket caused by tcp_abort" answers SOCK_DESTROY with success, and
 * keeps the connection, which sends nothing any more: so the list is read again.
 */
int inet_orphans_end(const struct net_addresses *addresses, struct error *err)
{
	struct inet_orphans all;
	size_t left;
	int ret;

	if (inet_orphans_read(addresses, &all, err))
		return -1;
	if (!all.nr)
		return 0;
	ret = end_all(&all);
	inet_orphans_free(&all);
	if (inet_orphans_read(addresses, &all, err))
		return -1;
	left = all.nr;
	inet_orphans_free(&all);
	return !left ? 0 : error_set(err, CODE_NOT_READY, NULL, "%s of a program that is gone cannot be ended: %s",
				     text_count(left, "connection", "connections").text,
				     ret ? nl_geterror(ret) : "the kernel keeps it");
}

/*
 * A connection that there is not cannot be found, where one can be ended. So it is where there is no inet_diag,
 * which the look before shows.
 */
bool inet_orphans_can_end(void)
{
	const struct inet_diag_sockid nobody = {
		.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
	};
	struct nl_sock *sock = nl_socket_alloc();
	int ret = sock ? sock_diag_connect(sock, 0) : -NLE_NOMEM;

	if (!ret)
		ret = read_family(sock, AF_INET);
	if (!ret)
		ret = end_one(sock, AF_INET, &nobody);
	nl_socket_free(sock);
	return ret == -NLE_OBJ_NOTFOUND;
}

bool inet_orphans_have(const struct inet_orphans *all, uint64_t cookie)
{
	for (size_t i = 0; i < all->nr; i++)
		if (all->items[i].cookie == cookie)
			return true;
	return false;
}

void inet_orphans_free(struct inet_orphans *all)
{
	free(all->items);
	*all = (struct inet_orphans){ .nr = 0 };
}
