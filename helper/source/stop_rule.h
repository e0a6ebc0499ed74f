/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_SOURCE_STOP_RULE_H
#define MIGRATE_SOURCE_STOP_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * enum stop_verdict - go on with rounds, or why not
 * @STOP_DOWNTIME: the program would stand for less than --max-downtime
 * @STOP_ROUNDS: there were as many as are allowed
 * @STOP_NO_SHRINK: another one would not make it better
 */
enum stop_verdict { STOP_NOT, STOP_DOWNTIME, STOP_ROUNDS, STOP_NO_SHRINK };

/**
 * struct stop_rule - when to stop the program for good
 * @fixed_ns: what dump, images and restore take whatever is dirty
 * @last_dirty: bytes before the last round
 * @slow: rounds in a row that shrank the dirty memory by less than a tenth
 */
struct stop_rule {
	uint32_t max_rounds;
	uint64_t max_downtime_ns, fixed_ns;
	uint64_t last_dirty;
	uint32_t slow;
};

/**
 * stop_rule_next() - after a round, with what is dirty then
 * @rounds: sent so far
 * @bytes_per_s: measured; 0 when nothing was
 */
enum stop_verdict stop_rule_next(struct stop_rule *rule, uint32_t rounds, uint64_t dirty_bytes,
				 double bytes_per_s);

/** stop_rule_expected_ns() - how long it would stand if it were stopped now */
uint64_t stop_rule_expected_ns(const struct stop_rule *rule, uint64_t dirty_bytes,
			       double bytes_per_s);

/** stop_rule_say() - how long it will stand, and the reason of a verdict other than STOP_NOT */
void stop_rule_say(const struct stop_rule *rule, enum stop_verdict verdict, uint64_t dirty_bytes,
		   double bytes_per_s, char *text, size_t size);
/** stop_rule_say_beaten() - why the program will stand for longer than --max-downtime */
void stop_rule_say_beaten(const struct stop_rule *rule, char *text, size_t size);

/** stop_rule_has_rounds_left() - whether one more may follow @rounds, whatever is dirty */
static inline bool stop_rule_has_rounds_left(const struct stop_rule *rule, uint32_t rounds)
{
	return rounds < rule->max_rounds;
}

/** stop_rule_is_beaten() - the fixed cost alone is above what is allowed */
static inline bool stop_rule_is_beaten(const struct stop_rule *rule)
{
	return rule->fixed_ns >= rule->max_downtime_ns;
}

#endif
