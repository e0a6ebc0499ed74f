// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <syslog.h>
#include <unistd.h>
#include "dest/kept_addresses.h"
#include "os/inet_orphans.h"
#include "os/net_announce.h"

static void take_one(struct kept_addresses *kept, const ProtobufCBinaryData *said,
		     const struct address_terms *terms, struct refusals *refusals)
{
	struct net_address address;

	if (!net_address_make(said->data, said->len, &address) || !net_address_is_of_one(&address) ||
	    net_addresses_add(&kept->list, &address)) {
		precheck_refuse(refusals, "the list of addresses that move is wrong");
		return;
	}
	if (!*kept->interface)
		precheck_refuse(refusals, "the program's connections have the address %s, which is to move here: start serve with --take-addresses and the interface that is to get it",
				net_address_name(&address).text);
	else if (terms->ranges.nr && !net_ranges_have(&terms->ranges, &address))
		precheck_refuse(refusals, "the program's connections have the address %s, which --take-addresses of serve does not allow",
				net_address_name(&address).text);
}

void kept_addresses_take(struct kept_addresses *kept, const Migrate__Setup *setup,
			 const struct address_terms *terms, int control_fd,
			 struct refusals *refusals)
{
	*kept = (struct kept_addresses){ .list.nr = 0 };
	snprintf(kept->interface, sizeof(kept->interface), "%s", terms->interface ?: "");
	if (setup->n_kept_addresses > NET_ADDRESSES_MAX ||
	    (setup->n_kept_addresses && !setup->keeps_tcp)) {
		precheck_refuse(refusals, "the list of addresses that move is wrong");
		return;
	}
	for (size_t i = 0; i < setup->n_kept_addresses; i++)
		take_one(kept, &setup->kept_addresses[i], terms, refusals);
	if (net_addresses_have_local(&kept->list, control_fd))
		precheck_refuse(refusals, "the migration came to an address that is to move here with the program: let serve listen on another one");
	if (kept->list.nr && !inet_orphans_can_end())
		precheck_refuse(refusals, "the kernel here cannot end connections (CONFIG_INET_DIAG_DESTROY), which a move that is given up needs: migrate with --tcp close");
}

/* Locked first: an address that another migration has brought here, and may take away, is not "here". */
int kept_addresses_plan(struct kept_addresses *kept, const char *id, struct error *err)
{
	for (size_t i = 0; i < kept->list.nr; i++) {
		kept->locks[i] = net_address_lock(&kept->list.items[i], err);
		if (kept->locks[i] < 0)
			return -1;
		kept->nr_locks = i + 1;
	}
	snprintf(kept->filter, sizeof(kept->filter), "migrate-helper-%s-dest", id);
	for (size_t i = 0; i < kept->list.nr; i++)
		if (!net_address_is_here(&kept->list.items[i]))
			net_addresses_add(&kept->added, &kept->list.items[i]);
	return 0;
}

void kept_addresses_unlock(struct kept_addresses *kept)
{
	for (size_t i = 0; i < kept->nr_locks; i++)
		close(kept->locks[i]);
	kept->nr_locks = 0;
}

int kept_addresses_close(struct kept_addresses *kept, struct error *err)
{
	if (net_filter_set(kept->filter, &kept->list, NET_FILTER_ALL, err))
		return -1;
	kept->closed = true;
	for (size_t i = 0; i < kept->added.nr; i++)
		if (net_address_add(&kept->added.items[i], kept->interface, err))
			return -1;
	return 0;
}

static void clear(struct kept_addresses *kept)
{
	struct error ignored = { 0 };

	if (*kept->filter && !net_filter_clear(kept->filter, &ignored))
		*kept->filter = 0;
}

/* A filter that cannot be removed leaves the program unreached, and running: no failure undoes a COMMIT. */
void kept_addresses_open(struct kept_addresses *kept)
{
	clear(kept);
	kept_addresses_announce(kept);
}

void kept_addresses_announce(const struct kept_addresses *kept)
{
	if (kept->list.nr && !*kept->filter)
		net_announce(&kept->list);
}

/* An address, or what a dead program has open there, could not be taken away. */
static void say_stays(const struct kept_addresses *kept, const struct error *why)
{
	openlog("migrate-helper", LOG_PID, LOG_DAEMON);
	syslog(LOG_ERR, "after a migration that was given up, addresses of the program stay here, and the tables %s of nftables that cut them off: %s",
	       kept->filter, why->what);
	closelog();
}

/*
 * The kernel sends on for connections of a program that was killed: their end, and what was on the way. Their
 * peer, which talks to the program at the source, must not get it. The filter stays when they cannot be ended.
 * An address that is gone does not keep an IPv6 connection from sending.
 */
static int remove_all(struct kept_addresses *kept, struct error *err)
{
	if (kept->closed && inet_orphans_end(&kept->list, err))
		return -1;
	for (size_t i = 0; i < kept->added.nr; i++)
		if (net_address_remove(&kept->added.items[i], err))
			return -1;
	kept->added.nr = 0;
	kept->closed = false;
	return 0;
}

void kept_addresses_forget(struct kept_addresses *kept, bool dead)
{
	struct error why = { 0 };

	if (!dead && kept->closed)
		error_set(&why, CODE_INTERNAL, NULL, "a process of the program does not die");
	/* an address that stays keeps its filter: another machine has it */
	if (error_is_set(&why) || remove_all(kept, &why))
		say_stays(kept, &why);
	else
		clear(kept);
}
