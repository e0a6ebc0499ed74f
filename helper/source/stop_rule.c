// SPDX-License-Identifier: GPL-2.0
#include "source/stop_rule.h"

#define SLOW_ROUNDS	2

static double send_ns(uint64_t dirty_bytes, double bytes_per_s)
{
	if (!dirty_bytes)
		return 0;
	/* nothing measured: no promise can be made */
	return bytes_per_s > 0 ? dirty_bytes / bytes_per_s * 1e9 : 1e18;
}

uint64_t stop_rule_expected_ns(const struct stop_rule *rule, uint64_t dirty_bytes,
			       double bytes_per_s)
{
	return rule->fixed_ns + send_ns(dirty_bytes, bytes_per_s);
}

const char *stop_rule_why(const struct stop_rule *rule, enum stop_verdict verdict)
{
	if (verdict == STOP_ROUNDS)
		return "after the last round allowed";
	if (verdict == STOP_NO_SHRINK)
		return "rounds do not shrink any more";
	return stop_rule_is_beaten(rule) ? "the memory that is left fits into --max-downtime" :
	       "within --max-downtime";
}

enum stop_verdict stop_rule_next(struct stop_rule *rule, uint32_t rounds, uint64_t dirty_bytes,
				 double bytes_per_s)
{
	/* a goal that cannot be met says nothing: then the memory alone counts */
	uint64_t fixed = stop_rule_is_beaten(rule) ? 0 : rule->fixed_ns;
	uint64_t last = rule->last_dirty;

	rule->last_dirty = dirty_bytes;
	if (fixed + send_ns(dirty_bytes, bytes_per_s) <= rule->max_downtime_ns)
		return STOP_DOWNTIME;
	if (rounds >= rule->max_rounds)
		return STOP_ROUNDS;
	if (last && dirty_bytes > last - last / 10)
		rule->slow++;
	else
		rule->slow = 0;
	return rule->slow >= SLOW_ROUNDS ? STOP_NO_SHRINK : STOP_NOT;
}
