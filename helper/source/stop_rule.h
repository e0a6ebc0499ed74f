/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_SOURCE_STOP_RULE_H
#define MIGRATE_SOURCE_STOP_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * enum stop_verdict - go on with rounds, or why not
 * @STOP_DOWNTIME: the program would stand for less than the limit
 * @STOP_ROUNDS: there were as many as are allowed
 * @STOP_NO_SHRINK: another one would not make it better
 */
enum stop_verdict { STOP_NOT, STOP_DOWNTIME, STOP_ROUNDS, STOP_NO_SHRINK };

/**
 * struct stop_rule - when to stop the program for good
 * @fixed_ns: what dump, images and restore take whatever is dirty
 * @files_bytes, @files_ns: of the last sync of files: one more while the program stands is expected to be like it
 * @last_dirty: bytes before the last round
 * @slow: rounds in a row that shrank the dirty memory by less than a tenth
 * @steps: the memory that is left may take half of what --max-downtime leaves for it, so many times halved. Each
 *	slow round doubles that: a program whose rounds shrink stands for less than it might
 * @rest_later: the memory that is left follows when the program has moved, and does not make it stand
 */
struct stop_rule {
	uint32_t max_rounds;
	uint64_t max_downtime_ns, fixed_ns, files_bytes, files_ns;
	uint64_t last_dirty;
	uint32_t slow, steps;
	bool rest_later;
};

#define STOP_STEPS	2	/* to begin with: a quarter */

/**
 * stop_rule_next() - after a round, with what is dirty then
 * @rounds: sent so far
 * @bytes_per_s: measured; 0 when nothing was
 */
enum stop_verdict stop_rule_next(struct stop_rule *rule, uint32_t rounds, uint64_t dirty_bytes,
				 double bytes_per_s);

/** stop_rule_expected_ns() - how long dump, restore and the memory that is left would take, if it were stopped now */
uint64_t stop_rule_expected_ns(const struct stop_rule *rule, uint64_t dirty_bytes,
			       double bytes_per_s);
/** stop_rule_stands_ns() - for how much of that it would stand */
uint64_t stop_rule_stands_ns(const struct stop_rule *rule, uint64_t dirty_bytes, double bytes_per_s);
/** stop_rule_limit_ns() - stop_rule_expected_ns() below which the rounds end; it rises up to --max-downtime */
uint64_t stop_rule_limit_ns(const struct stop_rule *rule);
/** stop_rule_allow() - the program writes less from here on: @rounds more, and the next slow one is one too many again */
void stop_rule_allow(struct stop_rule *rule, uint32_t rounds);

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
