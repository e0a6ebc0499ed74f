/* SPDX-License-Identifier: GPL-2.0 */
/* Pre-copy: rounds while the program runs, until it is worth stopping. */
#ifndef MIGRATE_SOURCE_PRECOPY_H
#define MIGRATE_SOURCE_PRECOPY_H

#include "source/precopy_state.h"

/**
 * precopy_run() - rounds, and then STALE for the pages of which the destination has an old content
 *
 * In mode postcopy there are no rounds but of shared memory, which cannot come later; and writes are
 * followed where CRIU goes by them.
 */
int precopy_run(struct precopy *pre, struct error *err);

/**
 * precopy_ack_ms() - how long the destination may take to acknowledge a round of which all is sent
 * @copies: pages that COPY named: a few bytes here, a copy of the page there, and nothing that slows us down
 */
int precopy_ack_ms(uint64_t copies);

#endif
