// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "source/loss.h"

static const char *member(json_t *array, size_t i, const char *name)
{
	return json_string_value(json_object_get(json_array_get(array, i), name));
}

static void every_row_is_whole(void **state)
{
	for (enum loss loss = 0; loss < LOSS_NR; loss++) {
		assert_non_null(loss_name(loss));
		assert_true(strlen(loss_text(loss)) > 10);
		assert_null(strpbrk(loss_name(loss), " ,_"));
		assert_int_not_equal(loss_default_fate(loss), LOSS_ACCEPTED);
		for (enum loss other = 0; other < loss; other++)
			assert_string_not_equal(loss_name(loss), loss_name(other));
		assert_int_equal(loss_find(loss_name(loss)),
				 loss_default_fate(loss) == LOSS_REFUSED ? loss : LOSS_NR);
	}
	assert_int_equal(loss_find("all"), LOSS_NR);
	assert_int_equal(loss_find(""), LOSS_NR);
	assert_non_null(strstr(loss_names(), "writable-file"));
	assert_null(strstr(loss_names(), "tcp-connections"));
}

static void refused_unless_accepted(void **state)
{
	struct losses losses = { 0 };
	struct error err = { 0 };

	assert_int_equal(losses_refused(&losses, &err), 0);
	losses_add(&losses, LOSS_TCP_CONNECTIONS, "%d", 3);
	assert_int_equal(losses_refused(&losses, &err), 0);
	losses_add(&losses, LOSS_WRITABLE_FILE, "descriptor %d", 4);
	losses_add(&losses, LOSS_PIPE, "descriptor %d", 1);
	assert_int_equal(losses_refused(&losses, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	assert_non_null(strstr(err.what, "descriptor 4"));
	assert_non_null(strstr(err.what, "1 more"));
	assert_non_null(strstr(err.hint, "--accept-loss writable-file"));
	assert_non_null(strstr(err.hint, "--shared-storage"));
	losses_free(&losses);

	memset(&err, 0, sizeof(err));
	losses.accepted = 1UL << LOSS_WRITABLE_FILE;
	losses_add(&losses, LOSS_WRITABLE_FILE, "descriptor %d", 4);
	assert_int_equal(losses_refused(&losses, &err), 0);
	losses_add(&losses, LOSS_PIPE, "descriptor %d", 1);
	assert_int_equal(losses_refused(&losses, &err), -1);
	assert_non_null(strstr(err.what, "descriptor 1"));
	losses_free(&losses);
}

static void result_lists_them(void **state)
{
	struct losses losses = { .accepted = 1UL << LOSS_PIPE };
	json_t *array;

	losses_add(&losses, LOSS_PIPE, "a");
	losses_add(&losses, LOSS_TCP_CONNECTIONS, "b\n\033[2J");
	losses_add(&losses, LOSS_WRITABLE_FILE, "\xff");
	losses_add_as(&losses, LOSS_WRITABLE_FILE, LOSS_REPAIRED, "c");
	array = losses_json(&losses);
	assert_int_equal(json_array_size(array), 4);
	assert_string_equal(member(array, 0, "name"), "pipe");
	assert_string_equal(member(array, 0, "fate"), "accepted");
	assert_string_equal(member(array, 1, "fate"), "warned");
	assert_string_equal(member(array, 1, "detail"), "b\\x0a\\x1b[2J");
	assert_string_equal(member(array, 2, "fate"), "refused");
	assert_string_equal(member(array, 2, "detail"), "\\xff");
	assert_string_equal(member(array, 3, "fate"), "repaired");
	json_decref(array);
	losses_free(&losses);
}

static void many_are_counted(void **state)
{
	struct losses losses = { 0 };
	json_t *array;

	for (int i = 0; i < LOSS_DETAILS_MAX + 100; i++)
		losses_add(&losses, LOSS_APPENDED_FILE, "file %d", i);
	array = losses_json(&losses);
	assert_int_equal(json_array_size(array), LOSS_DETAILS_MAX + 1);
	assert_string_equal(member(array, LOSS_DETAILS_MAX, "detail"), "and 100 more");
	assert_string_equal(member(array, LOSS_DETAILS_MAX, "fate"), "warned");
	json_decref(array);
	losses_free(&losses);
}

/* What is found of one process is told when it is found to be so. */
static void losses_of_a_process(void **state)
{
	struct losses losses = { 0 }, own = { .quiet = true };

	losses_add(&losses, LOSS_APPENDED_FILE, "file 0");
	for (int i = 0; i < LOSS_DETAILS_MAX + 3; i++)
		losses_add(&own, LOSS_APPENDED_FILE, "file %d", i);
	assert_false(losses_forbid(&own));
	losses_add(&own, LOSS_PIPE, "descriptor 1");
	assert_true(losses_forbid(&own));
	losses_take(&losses, &own);
	assert_true(losses_forbid(&losses));
	/* one of them was there */
	assert_int_equal(losses.nr, LOSS_DETAILS_MAX + 1);
	assert_int_equal(losses.count[LOSS_APPENDED_FILE], LOSS_DETAILS_MAX + 3);
	assert_int_equal(losses.count[LOSS_PIPE], 1);
	losses_free(&own);
	losses_free(&losses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_whole),
		cmocka_unit_test(refused_unless_accepted),
		cmocka_unit_test(result_lists_them),
		cmocka_unit_test(many_are_counted),
		cmocka_unit_test(losses_of_a_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
