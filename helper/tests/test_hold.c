// SPDX-License-Identifier: GPL-2.0
/* How a backend freezes the program, and has descriptors kept. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "source/hold.h"

/* The backend is closed last: what it asks then finds no keeper, and does not use what is freed. */
static void a_keeper_that_has_ended(void **state)
{
	struct guard guard = { .group.kind = CGROUP_NONE };
	struct source_keeper *keeper = NULL;
	struct hold hold = { .keeper = &keeper, .guard = &guard };
	struct backend_hold given = hold_for_backend(&hold);
	struct error err = { 0 };

	assert_int_equal(given.freeze(given.ctx, &err), -1);
	assert_int_equal(err.code, CODE_ABORTED);
	err = (struct error){ 0 };
	assert_int_equal(given.keep(given.ctx, 3, 4, &err), -1);
	assert_int_equal(err.code, CODE_ABORTED);
	err = (struct error){ 0 };
	/* it keeps nothing any more, and freezes nobody */
	assert_int_equal(given.keep(given.ctx, 3, -1, &err), 0);
	assert_int_equal(given.thaw(given.ctx, &err), 0);
	assert_false(error_is_set(&err));
}

static void calls_in_the_old_freezer(void **state)
{
	struct guard guard = { .group.kind = CGROUP_V1 };
	struct source_keeper *keeper = NULL;
	struct hold hold = { .keeper = &keeper, .guard = &guard };

	assert_true(hold_for_backend(&hold).in_calls);
	guard.group.kind = CGROUP_V2;
	assert_false(hold_for_backend(&hold).in_calls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_keeper_that_has_ended), cmocka_unit_test(calls_in_the_old_freezer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
