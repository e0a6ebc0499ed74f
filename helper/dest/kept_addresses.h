/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Network addresses that move here with a program whose TCP connections are kept. Until COMMIT nothing
 * reaches them here, whichever machine answers for them: the kernel here would acknowledge data that is
 * lost when the migration is given up, or would reset connections that it does not know yet.
 */
#ifndef MIGRATE_DEST_KEPT_ADDRESSES_H
#define MIGRATE_DEST_KEPT_ADDRESSES_H

#include <net/if.h>
#include "dest/precheck_list.h"
#include "os/net_filter.h"
#include "os/net_ranges.h"
#include "wire/control.h"

/**
 * struct address_terms - which addresses may move here
 * @interface: gets those that are not here yet; NULL: all are refused: a process that reaches serve could hide
 *	addresses of this machine
 * @ranges: no other may; empty: all may
 */
struct address_terms {
	const char *interface;
	struct net_ranges ranges;
};

/**
 * struct kept_addresses - zeroed: none is closed
 * @filter: its name, which has the id of the migration; "": there is none
 * @closed: the filter is in force
 * @interface: gets those that no interface here has
 * @added: those that kept_addresses_close() gives to @interface
 * @locks: @nr_locks descriptors, of the process that called kept_addresses_plan()
 */
struct kept_addresses {
	char filter[NET_FILTER_NAME_BYTES];
	bool closed;
	char interface[IFNAMSIZ];
	struct net_addresses list, added;
	int locks[NET_ADDRESSES_MAX];
	size_t nr_locks;
};

/**
 * kept_addresses_take() - from Setup
 * @control_fd: of the migration, which would not work any more if it came over one of them
 */
void kept_addresses_take(struct kept_addresses *kept, const Migrate__Setup *setup,
			 const struct address_terms *terms, int control_fd,
			 struct refusals *refusals);
/**
 * kept_addresses_plan() - before kept_addresses_close(); @id of the migration
 *
 * Takes the locks of the addresses, which the process keeps until it ends. -1 with @err: another migration has one.
 */
int kept_addresses_plan(struct kept_addresses *kept, const char *id, struct error *err);
void kept_addresses_unlock(struct kept_addresses *kept);
/** kept_addresses_close() - from here on they cannot be reached */
int kept_addresses_close(struct kept_addresses *kept, struct error *err);
/** kept_addresses_open() - the program runs here: they can be reached, and the neighbours are told */
void kept_addresses_open(struct kept_addresses *kept);
/** kept_addresses_announce() - tell the neighbours once more; nothing unless they were opened */
void kept_addresses_announce(const struct kept_addresses *kept);
/**
 * kept_addresses_forget() - as before kept_addresses_close()
 * @dead: no process of the program is here any more; one that does not die may still send
 *
 * What cannot be taken away stays behind the filter, and the system log says so.
 */
void kept_addresses_forget(struct kept_addresses *kept, bool dead);

#endif
