// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <time.h>
#include "base/clock.h"
#include "base/text.h"
#include "os/inet_orphans.h"
#include "source/orphans.h"

#define TICK_MS	5

/* Return: some of @first are still there; those that are not known cannot be waited for */
static bool some_are_left(const struct net_addresses *addresses, const struct inet_orphans *first)
{
	struct error ignored = { 0 };
	struct inet_orphans now;
	bool left = false;

	if (inet_orphans_read(addresses, &now, &ignored))
		return false;
	for (size_t i = 0; i < now.nr && !left; i++)
		left = inet_orphans_have(first, now.items[i].cookie);
	inet_orphans_free(&now);
	return left;
}

void orphans_drain(const struct net_addresses *addresses)
{
	const struct timespec tick = { .tv_nsec = TICK_MS * 1000000L };
	uint64_t until = clock_now_ns() + ORPHANS_DRAIN_MS * 1000000UL;
	struct error ignored = { 0 };
	struct inet_orphans first;

	if (inet_orphans_read(addresses, &first, &ignored))
		return;
	while (first.nr && some_are_left(addresses, &first) && clock_now_ns() < until)
		nanosleep(&tick, NULL);
	inet_orphans_free(&first);
}

/* @failed: @why they are not known; else @all are told, and freed */
static void orphans_tell(int failed, struct inet_orphans *all, const struct error *why, struct losses *losses)
{
	uint64_t bytes = 0;

	if (failed) {
		losses_add(losses, LOSS_UNACKNOWLEDGED, "not known: %s", why->what);
		return;
	}
	for (size_t i = 0; i < all->nr; i++)
		bytes += all->items[i].bytes;
	if (all->nr)
		losses_add(losses, LOSS_UNACKNOWLEDGED, "%s, %" PRIu64 " bytes, the first to %s port %u",
			   text_count(all->nr, "connection", "connections").text, bytes,
			   net_address_name(&all->items[0].peer).text, all->items[0].port);
	inet_orphans_free(all);
}

void orphans_find(const struct net_addresses *addresses, struct losses *losses)
{
	struct inet_orphans all;
	struct error why = { 0 };
	int failed = inet_orphans_read(addresses, &all, &why);

	orphans_tell(failed, &all, &why, losses);
}

void orphans_find_in(pid_t pid, struct losses *losses)
{
	struct inet_orphans all;
	struct error why = { 0 };
	int failed = inet_orphans_read_in(pid, &all, &why);

	orphans_tell(failed, &all, &why, losses);
}
