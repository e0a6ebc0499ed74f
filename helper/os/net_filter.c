// SPDX-License-Identifier: GPL-2.0
#include <nftables/libnftables.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/text.h"
#include "os/net_filter.h"
#include "os/net_inside.h"

#define CRIU_MARK	"0xc114"	/* SOCCR_MARK of CRIU */
#define PRIORITY	"-310"		/* before any rule of the machine's own, and before conntrack */
#define LIST_BYTES	(NET_ADDRESSES_MAX * (INET6_ADDRSTRLEN + 2))

/** struct commands - one transaction in the making */
struct commands {
	char text[16384];
	size_t at;
};

__attribute__((format(printf, 2, 3)))
static void add(struct commands *commands, const char *fmt, ...)
{
	size_t room = sizeof(commands->text) - commands->at;
	va_list args;
	int bytes;

	va_start(args, fmt);
	bytes = vsnprintf(commands->text + commands->at, room, fmt, args);
	va_end(args);
	if (bytes > 0)
		commands->at += (size_t)bytes < room ? (size_t)bytes : room - 1;
}

/* All commands of one call are one transaction: the kernel does all of them, or none. */
static int run(const struct commands *commands, const char *what, struct error *err)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	char why[128] = "no memory";
	int ret = -1;

	if (nft) {
		nft_ctx_buffer_error(nft);
		nft_ctx_buffer_output(nft);
		ret = nft_run_cmd_from_buffer(nft, commands->text);
		text_printable(why, sizeof(why), nft_ctx_get_error_buffer(nft));
		nft_ctx_free(nft);
	}
	return ret ? error_set(err, CODE_NOT_READY, "look whether the kernel has nftables (nft list ruleset)",
			       "%s: %s", what, why) : 0;
}

static void list(const struct net_addresses *addresses, size_t len, char *text)
{
	size_t at = 0;

	*text = 0;
	for (size_t i = 0; i < addresses->nr; i++)
		if (addresses->items[i].len == len)
			at += snprintf(text + at, LIST_BYTES - at, "%s%s", at ? ", " : "",
				       net_address_name(&addresses->items[i]).text);
}

/* A table that does not exist cannot be deleted, so it is added first. */
static void add_clear(struct commands *commands, const char *table)
{
	add(commands, "add table %s\ndelete table %s\n", table, table);
}

static void add_rules(struct commands *commands, const char *name, const char *family,
		      const char *addresses, const char *what)
{
	if (!*addresses)
		return;
	add(commands, "add rule inet %s in %s daddr { %s } %s drop\n", name, family, addresses, what);
	add(commands, "add rule inet %s out %s saddr { %s } %s drop\n", name, family, addresses, what);
}

/* Neighbour discovery for an IPv6 address is answered from that address, which a rule drops already. */
static void add_arp(struct commands *commands, const char *name, const char *addresses)
{
	if (!*addresses)
		return;
	add(commands, "add table arp %s\n", name);
	add(commands, "add chain arp %s in { type filter hook input priority " PRIORITY "; }\n", name);
	add(commands, "add chain arp %s out { type filter hook output priority " PRIORITY "; }\n", name);
	add(commands, "add rule arp %s in arp daddr ip { %s } drop\n", name, addresses);
	add(commands, "add rule arp %s out arp saddr ip { %s } drop\n", name, addresses);
}

static void add_chains(struct commands *commands, const char *name)
{
	static const char *const chains[] = { "in", "out" }, *const hooks[] = { "input", "output" };

	add(commands, "add table inet %s\n", name);
	for (size_t i = 0; i < 2; i++) {
		add(commands, "add chain inet %s %s { type filter hook %s priority " PRIORITY "; }\n",
		    name, chains[i], hooks[i]);
		add(commands, "add rule inet %s %s meta mark " CRIU_MARK " accept\n", name, chains[i]);
	}
}

static void add_clear_both(struct commands *commands, const char *name)
{
	char table[NET_FILTER_NAME_BYTES + 8];

	snprintf(table, sizeof(table), "inet %s", name);
	add_clear(commands, table);
	snprintf(table, sizeof(table), "arp %s", name);
	add_clear(commands, table);
}

int net_filter_set(const char *name, const struct net_addresses *addresses,
		   enum net_filter_level level, struct error *err)
{
	const char *what = level == NET_FILTER_TCP ? "meta l4proto tcp" : "";
	struct commands *commands = calloc(1, sizeof(*commands));
	char v4[LIST_BYTES], v6[LIST_BYTES];
	int ret;

	if (!commands)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a filter");
	list(addresses, sizeof(struct in_addr), v4);
	list(addresses, sizeof(struct in6_addr), v6);
	add_clear_both(commands, name);
	add_chains(commands, name);
	add_rules(commands, name, "ip", v4, what);
	add_rules(commands, name, "ip6", v6, what);
	if (level == NET_FILTER_ALL)
		add_arp(commands, name, v4);
	ret = run(commands, "cannot filter the network addresses of the program's connections", err);
	free(commands);
	return ret;
}

static int clear(struct commands *commands, struct error *err)
{
	int ret = commands ? run(commands, "cannot remove a filter of network addresses", err) :
		  error_errno(err, CODE_INTERNAL, NULL, "no memory to remove a filter");

	free(commands);
	return ret;
}

int net_filter_clear(const char *name, struct error *err)
{
	struct commands *commands = calloc(1, sizeof(*commands));

	if (commands)
		add_clear_both(commands, name);
	return clear(commands, err);
}

int net_filter_clear_table(const char *table, struct error *err)
{
	struct commands *commands = calloc(1, sizeof(*commands));

	if (commands)
		add_clear(commands, table);
	return clear(commands, err);
}

/** struct inside - a transaction for another namespace */
struct inside {
	const struct commands *commands;
	struct error *err;
};

static int run_here(void *ctx)
{
	const struct inside *inside = ctx;

	return run(inside->commands, "cannot hold the connections of the program's network namespace", inside->err);
}

static int run_in(pid_t pid, struct commands *commands, struct error *err)
{
	struct inside inside = { commands, err };
	int ret;

	if (!commands)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a filter");
	ret = net_inside(pid, run_here, &inside);
	free(commands);
	return ret && !error_is_set(err) ?
	       error_set(err, CODE_INTERNAL, NULL, "cannot enter the network namespace of process %d", pid) : ret;
}

int net_filter_hold_in(pid_t pid, const char *name, struct error *err)
{
	struct commands *commands = calloc(1, sizeof(*commands));

	if (commands) {
		add_chains(commands, name);
		add(commands, "add rule inet %s in meta l4proto tcp drop\n", name);
		add(commands, "add rule inet %s out meta l4proto tcp drop\n", name);
	}
	return run_in(pid, commands, err);
}

int net_filter_let_go_in(pid_t pid, const char *name, struct error *err)
{
	struct commands *commands = calloc(1, sizeof(*commands));

	if (commands)
		add_clear_both(commands, name);
	return run_in(pid, commands, err);
}
