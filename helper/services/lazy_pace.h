/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How many pages that no fault waits for may be under way on a connection whose answers come in order: a fault waits
 * for all of them. The window is what keeps the page server and the network at work, and not much more: it grows while
 * answers come about as fast as the fastest one, and shrinks when they come later, since they wait for each other then.
 */
#ifndef MIGRATE_SERVICES_LAZY_PACE_H
#define MIGRATE_SERVICES_LAZY_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAZY_PACE_LEAST		32	/* pages: the smallest window */
#define LAZY_PACE_MOST		2048	/* the largest one */
#define LAZY_PACE_PIECE		64	/* most pages that are asked for at a time */

/**
 * struct lazy_pace - zeroed at the beginning of a connection
 * @window: pages; 0: not known yet
 * @fastest_us: time from a request to its answer, the least of all; 0: none came yet
 */
struct lazy_pace {
	uint64_t window;
	int64_t fastest_us;
};

/** lazy_pace_piece() - how many pages are to be asked for next; 0: none now. @pages in @nr requests are under way */
uint64_t lazy_pace_piece(const struct lazy_pace *pace, uint64_t pages, size_t nr);

/** lazy_pace_came() - an answer of @nr_pages took @us; @pages in @nr requests were under way, itself included */
void lazy_pace_came(struct lazy_pace *pace, int64_t us, uint64_t nr_pages, uint64_t pages, size_t nr);

#endif
