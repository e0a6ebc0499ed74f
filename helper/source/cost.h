/* SPDX-License-Identifier: GPL-2.0 */
/* How long a program stands whatever of its memory is dirty: kept on this machine. */
#ifndef MIGRATE_SOURCE_COST_H
#define MIGRATE_SOURCE_COST_H

#include "source/figures.h"

/**
 * frozen_cost_expected() - nanoseconds, from earlier migrations
 * @peer_fixed_ns: what a restore takes at the destination; 0: it does not know
 */
uint64_t frozen_cost_expected(uint64_t peer_fixed_ns);
/** frozen_cost_keep() - take a migration that went well into account */
void frozen_cost_keep(const struct figures *figures);

#endif
