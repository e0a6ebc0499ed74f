/* SPDX-License-Identifier: GPL-2.0 */
/* How long the faults of one program's address spaces waited, from the read of a fault to its answer. */
#ifndef MIGRATE_PAGES_ANSWERED_H
#define MIGRATE_PAGES_ANSWERED_H

#include "base/latency.h"

/**
 * struct answered - of a struct space_set, under the lock of its owner. Zeroed is empty
 * @all: the times of all programs of the owner; NULL: nobody asks for them
 * @faults, @blocked_ns: of this one
 */
struct answered {
	struct latency *all;
	uint64_t faults, blocked_ns;
};

/** answered_add() - a fault that was read at @read_ns (clock_now_ns()) is answered now */
void answered_add(struct answered *answered, uint64_t read_ns);

#endif
