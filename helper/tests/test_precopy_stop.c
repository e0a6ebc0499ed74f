// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "source/stop_rule.h"

#define MS		1000000UL
#define MIB		(1UL << 20)
#define RATE		(100.0 * MIB)	/* a MiB takes 10 ms */

static struct stop_rule rule_of(uint64_t max_downtime_ms, uint64_t fixed_ms)
{
	return (struct stop_rule){
		.max_rounds = 8, .max_downtime_ns = max_downtime_ms * MS, .fixed_ns = fixed_ms * MS,
	};
}

static void nothing_is_dirty(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	assert_int_equal(stop_rule_next(&rule, 1, 0, RATE), STOP_DOWNTIME);
	rule = rule_of(300, 100);
	assert_int_equal(stop_rule_next(&rule, 1, 0, 0), STOP_DOWNTIME);
}

static void fits_into_the_downtime(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	assert_int_equal(stop_rule_next(&rule, 1, 21 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 2, 20 * MIB, RATE), STOP_DOWNTIME);
	assert_int_equal(stop_rule_expected_ns(&rule, 20 * MIB, RATE), 300 * MS);
}

static void fixed_cost_is_above_it(void **state)
{
	struct stop_rule rule = rule_of(300, 500);

	assert_true(stop_rule_is_beaten(&rule));
	assert_int_equal(stop_rule_next(&rule, 1, 31 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 2, 30 * MIB, RATE), STOP_DOWNTIME);
	/* what is said is the truth all the same */
	assert_int_equal(stop_rule_expected_ns(&rule, 30 * MIB, RATE), 800 * MS);
}

static void rounds_run_out(void **state)
{
	struct stop_rule rule = rule_of(300, 100);
	uint64_t dirty = 100000 * MIB;

	for (uint32_t round = 1; round < 8; round++, dirty /= 2)
		assert_int_equal(stop_rule_next(&rule, round, dirty, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 8, dirty, RATE), STOP_ROUNDS);
}

static void rounds_do_not_shrink(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	assert_int_equal(stop_rule_next(&rule, 1, 1000 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 2, 950 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 3, 940 * MIB, RATE), STOP_NO_SHRINK);
}

static void one_slow_round_is_forgiven(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	assert_int_equal(stop_rule_next(&rule, 1, 1000 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 2, 1200 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 3, 800 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 4, 790 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 5, 780 * MIB, RATE), STOP_NO_SHRINK);
}

static void exactly_a_tenth_is_enough(void **state)
{
	struct stop_rule rule = rule_of(300, 100);
	uint64_t dirty = 1000 * MIB;

	for (uint32_t round = 1; round < 8; round++, dirty -= dirty / 10)
		assert_int_equal(stop_rule_next(&rule, round, dirty, RATE), STOP_NOT);
}

static void nothing_was_measured(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	assert_int_equal(stop_rule_next(&rule, 1, MIB, 0), STOP_NOT);
	assert_true(stop_rule_expected_ns(&rule, MIB, 0) > 1000000 * MS);
}

/* What the last sync took is expected of the one for which the program stands, and its bytes shrink like pages or do not. */
static void files_count(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	rule.files_bytes = 500 * MIB;
	rule.files_ns = 250 * MS;
	assert_int_equal(stop_rule_next(&rule, 1, 0, RATE), STOP_NOT);
	assert_int_equal(stop_rule_expected_ns(&rule, 10 * MIB, RATE), 450 * MS);
	rule.rest_later = true;
	assert_int_equal(stop_rule_stands_ns(&rule, 10 * MIB, RATE), 350 * MS);
	rule.rest_later = false;
	/* memory shrinks, and files do not */
	assert_int_equal(stop_rule_next(&rule, 2, 0, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 3, 0, RATE), STOP_NO_SHRINK);
	rule.files_bytes = 10 * MIB;
	rule.files_ns = 5 * MS;
	assert_int_equal(stop_rule_next(&rule, 4, 0, RATE), STOP_DOWNTIME);
}

static const char *said(const struct stop_rule *rule, enum stop_verdict verdict)
{
	static char text[256];

	stop_rule_say(rule, verdict, 12 * MIB, RATE, text, sizeof(text));
	return text;
}

/* "about 470 ms expected" is not within 300. */
static void reasons_do_not_contradict(void **state)
{
	struct stop_rule rule = rule_of(300, 100), beaten = rule_of(300, 350);
	char text[256];

	assert_string_equal(said(&rule, STOP_DOWNTIME), "about 220 ms expected (within --max-downtime)");
	assert_string_equal(said(&beaten, STOP_DOWNTIME),
			    "about 470 ms expected: 350 ms for dump and restore, 120 ms for the memory that is left");
	assert_string_equal(said(&beaten, STOP_ROUNDS),
			    "about 470 ms expected (after the last round allowed)");
	assert_string_equal(said(&beaten, STOP_NO_SHRINK),
			    "about 470 ms expected (rounds do not shrink any more)");
	stop_rule_say_beaten(&beaten, text, sizeof(text));
	assert_string_equal(text,
			    "--max-downtime 300 cannot be kept: dump and restore alone take about 350 ms; rounds go on until the memory that is left takes 300 ms");
}

/* Half of what is left for the memory, then all of it: only slow rounds make the limit rise. */
static void limit_rises(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	rule.steps = STOP_STEPS;
	assert_int_equal(stop_rule_limit_ns(&rule), 150 * MS);
	assert_int_equal(stop_rule_next(&rule, 1, 19 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 2, 16 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_limit_ns(&rule), 150 * MS);
	assert_int_equal(stop_rule_next(&rule, 3, 16 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_limit_ns(&rule), 200 * MS);
	assert_int_equal(stop_rule_next(&rule, 4, 16 * MIB, RATE), STOP_DOWNTIME);
	assert_int_equal(stop_rule_limit_ns(&rule), 300 * MS);
}

static void limit_is_low_while_rounds_shrink(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	rule.steps = STOP_STEPS;
	assert_int_equal(stop_rule_next(&rule, 1, 12 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 2, 5 * MIB, RATE), STOP_DOWNTIME);
	assert_int_equal(stop_rule_limit_ns(&rule), 150 * MS);
}

static void last_round_has_the_whole_limit(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	rule.steps = STOP_STEPS;
	assert_int_equal(stop_rule_next(&rule, 8, 20 * MIB, RATE), STOP_DOWNTIME);
	rule.steps = STOP_STEPS;
	assert_int_equal(stop_rule_next(&rule, 8, 21 * MIB, RATE), STOP_ROUNDS);
}

static void no_stall_below_the_whole_limit(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	rule.steps = STOP_STEPS + 1;
	for (uint32_t round = 1; round < 4; round++)
		assert_int_equal(stop_rule_next(&rule, round, 100 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 4, 100 * MIB, RATE), STOP_NO_SHRINK);
}

/* After a change one slow round is enough. */
static void more_is_allowed(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	for (uint32_t round = 1; round < 4; round++)
		stop_rule_next(&rule, round, 100 * MIB, RATE);
	stop_rule_allow(&rule, 2);
	assert_int_equal(rule.max_rounds, 10);
	assert_int_equal(stop_rule_next(&rule, 4, 100 * MIB, RATE), STOP_NO_SHRINK);
	stop_rule_allow(&rule, 2);
	assert_int_equal(stop_rule_next(&rule, 5, 80 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 6, 79 * MIB, RATE), STOP_NOT);
	assert_int_equal(stop_rule_next(&rule, 7, 78 * MIB, RATE), STOP_NO_SHRINK);
}

/* What follows later does not make it stand. */
static void rest_follows_later(void **state)
{
	struct stop_rule rule = rule_of(300, 100);

	rule.rest_later = true;
	assert_int_equal(stop_rule_stands_ns(&rule, 20 * MIB, RATE), 100 * MS);
	assert_int_equal(stop_rule_expected_ns(&rule, 20 * MIB, RATE), 300 * MS);
	assert_int_equal(stop_rule_next(&rule, 1, 21 * MIB, RATE), STOP_NOT);
	assert_string_equal(said(&rule, STOP_DOWNTIME),
			    "about 100 ms expected, and 120 ms more until its memory has followed (within --max-downtime)");
	rule.rest_later = false;
	assert_int_equal(stop_rule_stands_ns(&rule, 20 * MIB, RATE), 300 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_dirty), cmocka_unit_test(fits_into_the_downtime),
		cmocka_unit_test(fixed_cost_is_above_it), cmocka_unit_test(rounds_run_out),
		cmocka_unit_test(rounds_do_not_shrink),
		cmocka_unit_test(one_slow_round_is_forgiven),
		cmocka_unit_test(exactly_a_tenth_is_enough),
		cmocka_unit_test(nothing_was_measured),
		cmocka_unit_test(files_count),
		cmocka_unit_test(reasons_do_not_contradict),
		cmocka_unit_test(limit_rises), cmocka_unit_test(limit_is_low_while_rounds_shrink),
		cmocka_unit_test(last_round_has_the_whole_limit),
		cmocka_unit_test(no_stall_below_the_whole_limit), cmocka_unit_test(more_is_allowed),
		cmocka_unit_test(rest_follows_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
