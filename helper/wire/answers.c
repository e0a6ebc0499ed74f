// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include "base/clock.h"
#include "wire/answers.h"

#define GAPS	4	/* in the limit: more than a part of it counts for no gap between two looks */

void answers_init(struct answers *answers)
{
	const char *test = getenv("MIGRATE_HELPER_ANSWERS_MS");

	*answers = (struct answers){
		.looked_ms = clock_now_ms(),
		.lost_ms = test && atol(test) > 0 ? atol(test) : ANSWERS_LOST_MS,
	};
}

void answers_await(struct answers *answers, bool awaited)
{
	atomic_store(&answers->awaited, awaited);
}

void answers_came(struct answers *answers)
{
	atomic_fetch_add(&answers->came, 1);
}

bool answers_are_lost(struct answers *answers)
{
	int64_t now = clock_now_ms(), passed = now - answers->looked_ms;
	unsigned int came = atomic_load(&answers->came);

	answers->looked_ms = now;
	if (came != answers->seen || !atomic_load(&answers->awaited)) {
		answers->seen = came;
		answers->silent_ms = 0;
		return false;
	}
	answers->silent_ms += passed < answers->lost_ms / GAPS ? passed : answers->lost_ms / GAPS;
	return answers->silent_ms >= answers->lost_ms;
}
