// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include "source/stop_rule.h"

#define SLOW_ROUNDS	2
#define MS		1000000UL

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
	return rule->fixed_ns + rule->files_ns + send_ns(dirty_bytes, bytes_per_s);
}

uint64_t stop_rule_stands_ns(const struct stop_rule *rule, uint64_t dirty_bytes, double bytes_per_s)
{
	return rule->rest_later ? rule->fixed_ns + rule->files_ns :
				  stop_rule_expected_ns(rule, dirty_bytes, bytes_per_s);
}

/* How long the memory that is left may take. A goal that cannot be met says nothing: then the memory alone counts. */
static uint64_t memory_limit_ns(const struct stop_rule *rule)
{
	return rule->max_downtime_ns - (stop_rule_is_beaten(rule) ? 0 : rule->fixed_ns);
}

uint64_t stop_rule_limit_ns(const struct stop_rule *rule)
{
	return rule->fixed_ns + (memory_limit_ns(rule) >> rule->steps);
}

void stop_rule_allow(struct stop_rule *rule, uint32_t rounds)
{
	rule->max_rounds += rounds;
	rule->slow = SLOW_ROUNDS - 1;
}

static const char *reason(enum stop_verdict verdict)
{
	return verdict == STOP_ROUNDS ? "after the last round allowed" :
	       verdict == STOP_NO_SHRINK ? "rounds do not shrink any more" :
	       "within --max-downtime";
}

void stop_rule_say(const struct stop_rule *rule, enum stop_verdict verdict, uint64_t dirty_bytes,
		   double bytes_per_s, char *text, size_t size)
{
	uint64_t memory = send_ns(dirty_bytes, bytes_per_s) / MS, fixed = (rule->fixed_ns + rule->files_ns) / MS;

	if (rule->rest_later)
		snprintf(text, size,
			 "about %lu ms expected, and %lu ms more until its memory has followed (%s)",
			 fixed, memory, reason(verdict));
	else if (verdict == STOP_DOWNTIME && stop_rule_is_beaten(rule))
		snprintf(text, size,
			 "about %lu ms expected: %lu ms for dump and restore, %lu ms for the memory that is left",
			 fixed + memory, fixed, memory);
	else
		snprintf(text, size, "about %lu ms expected (%s)",
			 stop_rule_expected_ns(rule, dirty_bytes, bytes_per_s) / MS, reason(verdict));
}

void stop_rule_say_beaten(const struct stop_rule *rule, char *text, size_t size)
{
	uint64_t limit = rule->max_downtime_ns / MS;

	snprintf(text, size,
		 "--max-downtime %lu cannot be kept: dump and restore alone take about %lu ms; rounds go on until the memory that is left takes %lu ms",
		 limit, rule->fixed_ns / MS, limit);
}

enum stop_verdict stop_rule_next(struct stop_rule *rule, uint32_t rounds, uint64_t dirty_bytes,
				 double bytes_per_s)
{
	double rest_ns = send_ns(dirty_bytes, bytes_per_s) + rule->files_ns;
	uint64_t last = rule->last_dirty, rest_bytes = dirty_bytes + rule->files_bytes;

	rule->last_dirty = rest_bytes;
	if (last && rest_bytes > last - last / 10)
		rule->slow++;
	else
		rule->slow = 0;
	if (rule->slow && rule->steps)
		rule->steps--;
	if (!stop_rule_has_rounds_left(rule, rounds))
		rule->steps = 0;
	if (rest_ns <= memory_limit_ns(rule) >> rule->steps)
		return STOP_DOWNTIME;
	if (!stop_rule_has_rounds_left(rule, rounds))
		return STOP_ROUNDS;
	return rule->slow >= SLOW_ROUNDS && !rule->steps ? STOP_NO_SHRINK : STOP_NOT;
}
