// SPDX-License-Identifier: GPL-2.0
/* States last longer for a test, all of them or from one on. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/report.h"

static void begin(const char *ms, const char *from)
{
	unsetenv("MIGRATE_HELPER_STATE_DELAY_MS");
	unsetenv("MIGRATE_HELPER_STATE_DELAY_FROM");
	if (ms)
		setenv("MIGRATE_HELPER_STATE_DELAY_MS", ms, 1);
	if (from)
		setenv("MIGRATE_HELPER_STATE_DELAY_FROM", from, 1);
	report_init(false);
}

static void no_state_is_longer(void **state)
{
	begin(NULL, "SETUP");
	assert_false(report_delays());
	assert_int_equal(report_state_begin("SETUP"), 0);
	assert_int_equal(report_state_begin("COMMIT"), 0);
}

static void each_state_is_longer(void **state)
{
	begin("70", NULL);
	assert_true(report_delays());
	assert_int_equal(report_state_begin("SETUP"), 70);
	assert_int_equal(report_state_begin("COMMIT"), 70);
}

static void states_are_longer_from_one_on(void **state)
{
	begin("70", "READY,COMMIT");
	assert_true(report_delays());
	assert_int_equal(report_state_begin("SETUP"), 0);
	assert_int_equal(report_state_begin("COMM"), 0);
	assert_int_equal(report_state_begin("COMMITTED"), 0);
	assert_int_equal(report_state_begin("COMMIT"), 70);
	assert_int_equal(report_state_begin("SETUP"), 70);
	begin("70", "READY,COMMIT");
	assert_int_equal(report_state_begin("READY"), 70);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_state_is_longer),
		cmocka_unit_test(each_state_is_longer),
		cmocka_unit_test(states_are_longer_from_one_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
