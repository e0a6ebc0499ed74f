// SPDX-License-Identifier: GPL-2.0
/* Memory that neither end has: how both ends tell it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "session/lost.h"

static struct lost some(size_t nr)
{
	struct error err = { 0 };
	struct lost lost = { 0 };

	for (size_t i = 0; i < nr; i++) {
		const struct lost_memory memory = { .pid = 100 + i, .pages = i + 1, .killed = i == 1 };

		assert_int_equal(lost_add(&lost, &memory, &err), 0);
	}
	return lost;
}

/* The other end says the same. */
static void both_ends_know(void **state)
{
	struct lost here = some(3), there = some(1);
	struct error err = { 0 };
	Migrate__Lost **list;
	json_t *json;

	list = lost_pack(&here);
	assert_non_null(list);
	assert_int_equal(lost_take(&there, list, here.nr, &err), 0);
	lost_pack_free(list);
	assert_int_equal(there.nr, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(there.list[i].pid, 100 + i);
		assert_int_equal(there.list[i].pages, i + 1);
		assert_int_equal(there.list[i].killed, i == 1);
	}
	json = lost_json(&there);
	assert_int_equal(json_array_size(json), 3);
	assert_true(json_is_true(json_object_get(json_array_get(json, 1), "killed")));
	json_decref(json);
	lost_free(&here);
	lost_free(&there);
}

static void nothing_is_no_error(void **state)
{
	struct error err = { 0 };
	struct lost lost = { 0 };
	Migrate__Lost **list = lost_pack(&lost);

	assert_non_null(list);
	lost_pack_free(list);
	lost_error(&lost, false, &err);
	assert_false(error_is_set(&err));
}

/* A tree may have two thousand; the error names the first ones, and counts the others. */
static void an_error_has_room(void **state)
{
	struct lost lost = some(2000);
	struct error err = { 0 };

	for (size_t i = 0; i < 3; i++)
		lost.list[i] = (struct lost_memory){ INT32_MIN, UINT64_MAX, true };
	lost_error(&lost, false, &err);
	assert_int_equal(err.code, CODE_LOST);
	assert_non_null(strstr(err.what, "1997 other processes"));
	assert_true(*err.hint);
	lost_free(&lost);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_know), cmocka_unit_test(nothing_is_no_error),
		cmocka_unit_test(an_error_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
