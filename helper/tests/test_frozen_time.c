// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"
#include "session/frozen_time.h"

#define PART(name)	MIGRATE__FROZEN_PART__##name
#define MS		1000000UL

/* Parts follow each other without a gap: together they are the whole time. */
static void parts_add_up(void **state)
{
	struct frozen_time time = { 0 };
	uint64_t begin = clock_now_ns(), all;

	frozen_time_enter(&time, PART(DUMP));
	for (int i = 0; i < 1000; i++) {
		frozen_time_enter(&time, PART(GUARD));
		frozen_time_enter(&time, PART(DUMP));
	}
	frozen_time_enter(&time, 0);
	all = clock_now_ns() - begin;
	assert_true(time.ns[PART(DUMP)] && time.ns[PART(GUARD)]);
	assert_true(time.ns[PART(DUMP)] + time.ns[PART(GUARD)] <= all);
	assert_int_equal(frozen_time_sum(&time, FROZEN_CRIU), time.ns[PART(DUMP)]);
	assert_int_equal(frozen_time_sum(&time, FROZEN_SOURCE), time.ns[PART(GUARD)]);
	frozen_time_enter(&time, 0);
	assert_true(time.ns[PART(DUMP)] + time.ns[PART(GUARD)] <= all);
}

static void every_part_has_a_name(void **state)
{
	for (unsigned int i = 0; i < migrate__frozen_part__descriptor.n_values; i++) {
		unsigned int part = migrate__frozen_part__descriptor.values[i].value;

		assert_true(part > 0 && part < FROZEN_PARTS);
		assert_non_null(frozen_part_name(part));
		assert_int_not_equal(frozen_part_owner(part), FROZEN_NONE);
	}
	assert_null(frozen_part_name(0));
	assert_null(frozen_part_name(FROZEN_PARTS));
}

/* What the source waits is the destination's parts, and the link. */
static void parts_of_the_destination_come_off_the_wait(void **state)
{
	struct frozen_time there = { 0 }, here = { 0 };
	Migrate__FrozenTime messages[FROZEN_PARTS], *list[FROZEN_PARTS];
	size_t nr;

	there.ns[PART(RESTORE)] = 40 * MS;
	there.ns[PART(ATTACH)] = 20 * MS;
	here.ns[PART(WAIT)] = 65 * MS;
	nr = frozen_time_pack(&there, messages, list);
	assert_int_equal(nr, 2);
	frozen_time_take(&here, list, nr);
	assert_int_equal(here.ns[PART(RESTORE)], 40 * MS);
	assert_int_equal(here.ns[PART(ATTACH)], 20 * MS);
	assert_int_equal(here.ns[PART(WAIT)], 5 * MS);
}

/* The other end may say anything: no part of ours is changed, and nothing wraps. */
static void wrong_parts_are_left_out(void **state)
{
	Migrate__FrozenTime messages[5], *list[5];
	static const struct {
		unsigned int part;
		uint64_t ns;
	} said[] = {
		{ PART(DUMP), 1 * MS }, { FROZEN_PARTS + 7, 1 * MS }, { PART(RESTORE), UINT64_MAX },
		{ PART(RESTORE), 1 * MS }, { PART(HOLD), UINT64_MAX },
	};
	struct frozen_time here = { 0 };

	for (size_t i = 0; i < 5; i++) {
		migrate__frozen_time__init(&messages[i]);
		messages[i].part = said[i].part;
		messages[i].ns = said[i].ns;
		list[i] = &messages[i];
	}
	here.ns[PART(WAIT)] = 10 * MS;
	frozen_time_take(&here, list, 5);
	assert_int_equal(here.ns[PART(DUMP)], 0);
	assert_int_equal(here.ns[PART(WAIT)], 0);
	assert_true(frozen_time_sum(&here, FROZEN_CRIU) < UINT64_MAX / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_add_up),
		cmocka_unit_test(every_part_has_a_name),
		cmocka_unit_test(parts_of_the_destination_come_off_the_wait),
		cmocka_unit_test(wrong_parts_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
