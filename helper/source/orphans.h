/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections that a program has closed, and whose peer has not acknowledged all. They are the kernel's of
 * this machine: with --tcp keep their address moves away from them.
 */
#ifndef MIGRATE_SOURCE_ORPHANS_H
#define MIGRATE_SOURCE_ORPHANS_H

#include "os/net_addresses.h"
#include "source/loss.h"

#define ORPHANS_DRAIN_MS	300

/**
 * orphans_drain() - wait until the peers have acknowledged what there is now, ORPHANS_DRAIN_MS at most
 *
 * What the program, which runs, closes meanwhile is not waited for.
 */
void orphans_drain(const struct net_addresses *addresses);
/** orphans_find() - the addresses are cut off: what is not acknowledged is lost */
void orphans_find(const struct net_addresses *addresses, struct losses *losses);
/** orphans_find_in() - all those of the network namespace of process @pid, which ends here */
void orphans_find_in(pid_t pid, struct losses *losses);

#endif
