/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The limit of --bandwidth. Memory goes out in pieces of a fraction of a second, and behind each piece the thread waits
 * until the limit allows for the piece. What the link did not take in time is made up for a moment, not for ever.
 *
 * The thread that answers requests has no pace: a page that a fault waits for is not held back. What it sends is not
 * counted either.
 */
#ifndef MIGRATE_SOURCE_PACE_H
#define MIGRATE_SOURCE_PACE_H

#include <stdint.h>
#include "session/mailbox.h"

/**
 * struct pace - of one thread
 * @bytes_per_s: the limit; 0: none
 * @box: a failure ends a wait
 * @due_ns: clock_now_ns() at which the limit allows for all that was sent
 */
struct pace {
	uint64_t bytes_per_s;
	struct mailbox *box;
	uint64_t due_ns;
};

/** pace_pages() - how many pages to send before the next call of pace_sent(); @pace may be NULL: @most */
uint64_t pace_pages(const struct pace *pace, uint64_t most);
/** pace_sent() - @bytes went out: wait until the limit allows for them. A failure is the caller's to see */
void pace_sent(struct pace *pace, uint64_t bytes);

#endif
