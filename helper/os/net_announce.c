// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <string.h>
#include <unistd.h>
#include "os/net_announce.h"

/** struct advertisement - an IPv6 packet that says which machine has an address */
struct advertisement {
	struct ip6_hdr ip;
	struct nd_neighbor_advert head;
	struct nd_opt_hdr option;
	uint8_t hardware[ETH_ALEN];
} __attribute__((packed));

/** struct port - an interface, as packets leave it */
struct port {
	int fd, interface;
	uint8_t hardware[ETH_ALEN];
};

static bool port_send(const struct port *port, uint16_t protocol, const uint8_t *to,
		      const void *packet, size_t bytes)
{
	struct sockaddr_ll name = {
		.sll_family = AF_PACKET, .sll_protocol = htons(protocol),
		.sll_ifindex = port->interface, .sll_halen = ETH_ALEN,
	};

	memcpy(name.sll_addr, to, ETH_ALEN);
	return sendto(port->fd, packet, bytes, MSG_DONTWAIT, (struct sockaddr *)&name,
		      sizeof(name)) == (ssize_t)bytes;
}

/* Of both kinds: some machines look at requests alone, some at replies. */
static bool announce_v4(const struct port *port, const struct net_address *address)
{
	static const uint8_t all[ETH_ALEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint16_t kinds[] = { ARPOP_REQUEST, ARPOP_REPLY };
	bool sent = false;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct ether_arp arp = {
			.ea_hdr = {
				.ar_hrd = htons(ARPHRD_ETHER), .ar_pro = htons(ETH_P_IP),
				.ar_hln = ETH_ALEN, .ar_pln = 4, .ar_op = htons(kinds[i]),
			},
		};

		memcpy(arp.arp_sha, port->hardware, ETH_ALEN);
		memcpy(arp.arp_spa, address->bytes, address->len);
		memcpy(arp.arp_tha, kinds[i] == ARPOP_REPLY ? port->hardware : all, ETH_ALEN);
		memcpy(arp.arp_tpa, address->bytes, address->len);
		sent |= port_send(port, ETH_P_ARP, all, &arp, sizeof(arp));
	}
	return sent;
}

static uint32_t sum(const void *data, size_t bytes, uint32_t before)
{
	const uint8_t *at = data;

	for (size_t i = 0; i + 1 < bytes; i += 2)
		before += at[i] << 8 | at[i + 1];
	return before;
}

static uint16_t checksum(const struct advertisement *packet)
{
	const size_t bytes = sizeof(*packet) - sizeof(packet->ip);
	uint32_t total = sum(&packet->ip.ip6_src, 2 * sizeof(struct in6_addr),
			     IPPROTO_ICMPV6 + bytes);

	total = sum(&packet->head, bytes, total);
	total = (total & 0xffff) + (total >> 16);
	return htons(~(total + (total >> 16)) & 0xffff);
}

static bool announce_v6(const struct port *port, const struct net_address *address)
{
	static const uint8_t all_nodes[ETH_ALEN] = { 0x33, 0x33, 0, 0, 0, 1 };
	struct advertisement packet = {
		.ip = { .ip6_flow = htonl(6 << 28), .ip6_nxt = IPPROTO_ICMPV6, .ip6_hlim = 255 },
		.head = { .nd_na_type = ND_NEIGHBOR_ADVERT,
			  .nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE },
		.option = { .nd_opt_type = ND_OPT_TARGET_LINKADDR, .nd_opt_len = 1 },
	};

	packet.ip.ip6_plen = htons(sizeof(packet) - sizeof(packet.ip));
	memcpy(&packet.ip.ip6_src, address->bytes, address->len);
	inet_pton(AF_INET6, "ff02::1", &packet.ip.ip6_dst);
	memcpy(&packet.head.nd_na_target, address->bytes, address->len);
	memcpy(packet.hardware, port->hardware, ETH_ALEN);
	packet.head.nd_na_cksum = checksum(&packet);
	return port_send(port, ETH_P_IPV6, all_nodes, &packet, sizeof(packet));
}

/* False for an interface that has no Ethernet addresses, or is down. */
static bool port_find(struct ifaddrs *list, const struct ifaddrs *of, struct port *port)
{
	for (const struct ifaddrs *one = list; one; one = one->ifa_next) {
		const struct sockaddr_ll *name = (const struct sockaddr_ll *)one->ifa_addr;

		if (!name || name->sll_family != AF_PACKET || strcmp(one->ifa_name, of->ifa_name))
			continue;
		port->interface = name->sll_ifindex;
		memcpy(port->hardware, name->sll_addr, ETH_ALEN);
		return name->sll_hatype == ARPHRD_ETHER && name->sll_halen == ETH_ALEN &&
		       one->ifa_flags & IFF_UP;
	}
	return false;
}

size_t net_announce(const struct net_addresses *addresses)
{
	struct port port = { .fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
	struct ifaddrs *list = NULL;
	size_t sent = 0;

	if (port.fd < 0)
		return 0;
	if (getifaddrs(&list))
		list = NULL;
	for (const struct ifaddrs *one = list; one; one = one->ifa_next) {
		struct net_address here;

		if (!one->ifa_addr ||
		    !net_address_of((const struct sockaddr_storage *)one->ifa_addr, &here) ||
		    !net_addresses_have(addresses, &here) || !port_find(list, one, &port))
			continue;
		sent += here.len == sizeof(struct in_addr) ? announce_v4(&port, &here) :
							     announce_v6(&port, &here);
	}
	if (list)
		freeifaddrs(list);
	close(port.fd);
	return sent;
}
