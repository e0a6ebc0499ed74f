// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include "session/cost.h"
#include "source/cost.h"

#define FIRST_GUESS_HERE	150000000UL	/* dump and images */
#define FIRST_GUESS_THERE	200000000UL	/* restore */

uint64_t frozen_cost_expected(uint64_t peer_fixed_ns)
{
	return (cost_read(COST_DUMP) ?: FIRST_GUESS_HERE) + (peer_fixed_ns ?: FIRST_GUESS_THERE);
}

void frozen_cost_keep(const struct figures *figures)
{
	uint64_t theirs = figures->restore_ns + figures->frozen_send_ns;

	/* what a comparison or a test's delays took says nothing of the next migration */
	if (figures->frozen_ns <= theirs || figures->verified_pages ||
	    getenv("MIGRATE_HELPER_STATE_DELAY_MS"))
		return;
	cost_keep(COST_DUMP, figures->frozen_ns - theirs);
}
