// SPDX-License-Identifier: GPL-2.0
#include "services/lazy_pace.h"

/* CRIU's page server goes through a whole pipe for each request: that takes as long as to send so many pages. */
#define REQUEST_PAGES	16

#define QUEUE_US	100	/* so much later than the fastest answer is no sign of a queue */
#define QUEUE_PART	4	/* nor is this part of its time */
#define GROW_PART	16	/* of the pages that came in time */
#define SHRINK_PART	4	/* of those that came late */

static uint64_t under_way(uint64_t pages, size_t nr)
{
	return pages + nr * REQUEST_PAGES;
}

static uint64_t window_of(const struct lazy_pace *pace)
{
	return pace->window ?: LAZY_PACE_LEAST;
}

uint64_t lazy_pace_piece(const struct lazy_pace *pace, uint64_t pages, size_t nr)
{
	uint64_t window = window_of(pace);

	if (under_way(pages, nr) >= window)
		return 0;
	return window < LAZY_PACE_PIECE ? window : LAZY_PACE_PIECE;
}

void lazy_pace_came(struct lazy_pace *pace, int64_t us, uint64_t nr_pages, uint64_t pages, size_t nr)
{
	uint64_t window = window_of(pace);

	if (!pace->fastest_us || us < pace->fastest_us)
		pace->fastest_us = us > 0 ? us : 1;
	if (us > pace->fastest_us + QUEUE_US + pace->fastest_us / QUEUE_PART)
		window -= nr_pages / SHRINK_PART < window ? nr_pages / SHRINK_PART : window;
	else if (2 * under_way(pages, nr) > window)
		/* a window that nobody fills says nothing about a larger one */
		window += nr_pages / GROW_PART + 1;
	if (window < LAZY_PACE_LEAST)
		window = LAZY_PACE_LEAST;
	pace->window = window > LAZY_PACE_MOST ? LAZY_PACE_MOST : window;
}
