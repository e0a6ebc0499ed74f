// SPDX-License-Identifier: GPL-2.0
#include <limits.h>
#include "base/clock.h"
#include "base/page.h"
#include "source/pace.h"

#define SECOND		1000000000UL
#define MS		1000000UL
#define PIECES		20		/* a second */
#define BEHIND_NS	(SECOND / PIECES)	/* a link that was slow is made up for so much */

uint64_t pace_pages(const struct pace *pace, uint64_t most)
{
	uint64_t pages;

	if (!pace || !pace->bytes_per_s)
		return most;
	pages = pace->bytes_per_s / PIECES / PAGE_BYTES;
	if (!pages)
		return 1;
	return pages < most ? pages : most;
}

void pace_sent(struct pace *pace, uint64_t bytes)
{
	uint64_t now, wait_ms;

	if (!pace || !pace->bytes_per_s || !bytes)
		return;
	now = clock_now_ns();
	if (pace->due_ns + BEHIND_NS < now)
		pace->due_ns = now - BEHIND_NS;
	pace->due_ns += (double)bytes / pace->bytes_per_s * SECOND;
	wait_ms = pace->due_ns > now ? (pace->due_ns - now) / MS : 0;
	if (wait_ms)
		mailbox_wait_failure(pace->box, wait_ms < INT_MAX ? wait_ms : INT_MAX);
}
