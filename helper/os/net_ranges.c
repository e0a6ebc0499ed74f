// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "os/net_ranges.h"

static bool parse_bits(const char *text, unsigned int max, unsigned int *bits)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	value = strtoul(text, &end, 10);
	*bits = value;
	return !*end && value <= max;
}

static bool parse_one(char *text, struct net_range *range)
{
	char *slash = strchr(text, '/');
	struct net_address *address = &range->address;

	if (slash)
		*slash = 0;
	address->len = strchr(text, ':') ? sizeof(struct in6_addr) : sizeof(struct in_addr);
	if (inet_pton(address->len == sizeof(struct in6_addr) ? AF_INET6 : AF_INET, text,
		      address->bytes) != 1)
		return false;
	range->bits = 8 * address->len;
	return !slash || parse_bits(slash + 1, 8 * address->len, &range->bits);
}

int net_ranges_parse(struct net_ranges *ranges, const char *text)
{
	char *copy = strdup(text), *left = copy, *item;
	bool right = copy;

	*ranges = (struct net_ranges){ .nr = 0 };
	while (right && (item = strsep(&left, ",")))
		right = ranges->nr < NET_RANGES_MAX &&
			parse_one(item, &ranges->items[ranges->nr++]);
	free(copy);
	return right ? 0 : -1;
}

static bool has(const struct net_range *range, const struct net_address *address)
{
	unsigned int bytes = range->bits / 8, rest = range->bits % 8;

	if (range->address.len != address->len ||
	    memcmp(range->address.bytes, address->bytes, bytes))
		return false;
	return !rest || !((range->address.bytes[bytes] ^ address->bytes[bytes]) >> (8 - rest));
}

bool net_ranges_have(const struct net_ranges *ranges, const struct net_address *address)
{
	for (size_t i = 0; i < ranges->nr; i++)
		if (has(&ranges->items[i], address))
			return true;
	return false;
}
