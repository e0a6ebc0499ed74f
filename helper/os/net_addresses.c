// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include "os/net_addresses.h"

#define IPV4_BYTES	sizeof(struct in_addr)
#define IPV6_BYTES	sizeof(struct in6_addr)

bool net_address_make(const void *bytes, size_t len, struct net_address *address)
{
	*address = (struct net_address){ .len = len };
	if (len != IPV4_BYTES && len != IPV6_BYTES)
		return false;
	memcpy(address->bytes, bytes, len);
	return true;
}

bool net_address_of(const struct sockaddr_storage *name, struct net_address *address)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)name)->sin6_addr;

	if (name->ss_family == AF_INET)
		return net_address_make(&((const struct sockaddr_in *)name)->sin_addr, IPV4_BYTES,
					address);
	if (name->ss_family != AF_INET6)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(v6))
		return net_address_make(&v6->s6_addr[12], IPV4_BYTES, address);
	return net_address_make(v6, IPV6_BYTES, address);
}

bool net_address_equals(const struct net_address *one, const struct net_address *two)
{
	return one->len == two->len && !memcmp(one->bytes, two->bytes, one->len);
}

bool net_address_is_loopback(const struct net_address *address)
{
	if (address->len == IPV4_BYTES)
		return address->bytes[0] == IN_LOOPBACKNET;
	return !memcmp(address->bytes, &in6addr_loopback, IPV6_BYTES);
}

bool net_address_is_any(const struct net_address *address)
{
	return !memcmp(address->bytes, &in6addr_any, address->len);
}

bool net_address_is_of_one(const struct net_address *address)
{
	const uint8_t *bytes = address->bytes;
	struct in6_addr v6;

	if (net_address_is_any(address) || net_address_is_loopback(address))
		return false;
	if (address->len == 4)
		return bytes[0] && bytes[0] < 224 && !(bytes[0] == 169 && bytes[1] == 254);
	memcpy(&v6, bytes, sizeof(v6));
	return !IN6_IS_ADDR_MULTICAST(&v6) && !IN6_IS_ADDR_LINKLOCAL(&v6) &&
	       !IN6_IS_ADDR_V4MAPPED(&v6) && !IN6_IS_ADDR_V4COMPAT(&v6);
}

/* A name that nobody else in this network namespace can have at the same time. */
int net_address_lock(const struct net_address *address, struct error *err)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "migrate-helper-address-%s",
			   net_address_name(address).text);

	if (fd >= 0 && !bind(fd, (void *)&name, offsetof(struct sockaddr_un, sun_path) + 1 + len))
		return fd;
	if (fd >= 0)
		close(fd);
	return error_errno(err, CODE_NOT_READY, "migrate again when the other migration has ended",
			   "the address %s moves here with another migration",
			   net_address_name(address).text);
}

struct net_name net_address_name(const struct net_address *address)
{
	struct net_name name = { "?" };

	inet_ntop(address->len == IPV4_BYTES ? AF_INET : AF_INET6, address->bytes, name.text,
		  sizeof(name.text));
	return name;
}

bool net_addresses_have(const struct net_addresses *all, const struct net_address *address)
{
	for (size_t i = 0; i < all->nr; i++)
		if (net_address_equals(&all->items[i], address))
			return true;
	return false;
}

bool net_addresses_have_local(const struct net_addresses *all, int fd)
{
	struct sockaddr_storage name = { 0 };
	struct net_address address;
	socklen_t len = sizeof(name);

	return !getsockname(fd, (struct sockaddr *)&name, &len) &&
	       net_address_of(&name, &address) && net_addresses_have(all, &address);
}

int net_addresses_add(struct net_addresses *all, const struct net_address *address)
{
	if (net_addresses_have(all, address))
		return 0;
	if (all->nr == NET_ADDRESSES_MAX)
		return -1;
	all->items[all->nr++] = *address;
	return 0;
}

/** struct place - where an address is */
struct place {
	unsigned int interface, prefix;
};

static unsigned int count_bits(const struct sockaddr *mask, size_t bytes)
{
	const uint8_t *at = bytes == IPV4_BYTES ?
		(const uint8_t *)&((const struct sockaddr_in *)mask)->sin_addr :
		((const struct sockaddr_in6 *)mask)->sin6_addr.s6_addr;
	unsigned int bits = 0;

	for (size_t i = 0; i < bytes; i++)
		bits += __builtin_popcount(at[i]);
	return bits;
}

static bool find_place(const struct net_address *address, struct place *place)
{
	struct ifaddrs *list = NULL;
	bool found = false;

	if (getifaddrs(&list))
		return false;
	for (const struct ifaddrs *one = list; one && !found; one = one->ifa_next) {
		struct net_address here;

		if (!one->ifa_addr || !one->ifa_netmask ||
		    !net_address_of((const struct sockaddr_storage *)one->ifa_addr, &here) ||
		    !net_address_equals(&here, address))
			continue;
		*place = (struct place){
			.interface = if_nametoindex(one->ifa_name),
			.prefix = count_bits(one->ifa_netmask, here.len),
		};
		found = true;
	}
	freeifaddrs(list);
	return found;
}

bool net_address_is_here(const struct net_address *address)
{
	struct place place;

	return find_place(address, &place);
}

static int send_and_wait(struct nl_sock *sock, struct nl_msg *msg)
{
	int ret = nl_send_auto(sock, msg);

	return ret < 0 ? ret : nl_wait_for_ack(sock);
}

/* @type: RTM_NEWADDR or RTM_DELADDR */
static int ask(int type, const struct net_address *address, const struct place *place)
{
	const struct ifaddrmsg header = {
		.ifa_family = address->len == IPV4_BYTES ? AF_INET : AF_INET6,
		.ifa_prefixlen = place->prefix, .ifa_index = place->interface,
		.ifa_flags = IFA_F_NODAD,
	};
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_ACK |
						(type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0));
	int ret = -NLE_NOMEM;

	if (sock && msg && !nlmsg_append(msg, (void *)&header, sizeof(header), NLMSG_ALIGNTO) &&
	    !nla_put(msg, IFA_LOCAL, address->len, address->bytes) &&
	    !nla_put(msg, IFA_ADDRESS, address->len, address->bytes)) {
		ret = nl_connect(sock, NETLINK_ROUTE);
		if (!ret)
			ret = send_and_wait(sock, msg);
	}
	nlmsg_free(msg);
	nl_socket_free(sock);
	return ret;
}

int net_address_add(const struct net_address *address, const char *name, struct error *err)
{
	const struct place place = {
		.interface = if_nametoindex(name), .prefix = 8 * address->len,
	};
	int ret = place.interface ? ask(RTM_NEWADDR, address, &place) : -NLE_NODEV;

	return ret >= 0 ? 0 :
	       error_set(err, CODE_NOT_READY, NULL, "cannot give the address %s to %s: %s",
			 net_address_name(address).text, name, nl_geterror(ret));
}

int net_address_remove(const struct net_address *address, struct error *err)
{
	struct place place;
	int ret;

	if (!find_place(address, &place))
		return 0;
	ret = ask(RTM_DELADDR, address, &place);
	return ret >= 0 ? 0 :
	       error_set(err, CODE_INTERNAL, "remove it by hand (ip addr del)",
			 "cannot remove the address %s, which has moved: %s",
			 net_address_name(address).text, nl_geterror(ret));
}
