// SPDX-License-Identifier: GPL-2.0
/*
 * The counts of a migration: both results have the counts that Done carries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "session/counts.h"

static const struct counts some = {
	.precopy_pages = 1, .push_pages = 22, .fault_pages = 1UL << 40, .zero_pages = 4,
	.image_pages = 5, .faults = 666,
};

/* Through the bytes of a message. */
static void done_carries_each(void **state)
{
	Migrate__Done done = MIGRATE__DONE__INIT, *got;
	struct counts counts = { 0 };
	uint8_t buf[200];
	size_t bytes;

	counts_to_done(&some, &done);
	bytes = migrate__done__pack(&done, buf);
	got = migrate__done__unpack(NULL, bytes, buf);
	assert_non_null(got);
	assert_int_equal(got->precopy_pages, 1);
	assert_int_equal(got->push_pages, 22);
	assert_int_equal(got->fault_pages, 1UL << 40);
	assert_int_equal(got->zero_pages, 4);
	assert_int_equal(got->image_pages, 5);
	assert_int_equal(got->faults, 666);
	counts_from_done(&counts, got);
	assert_memory_equal(&counts, &some, sizeof(some));
	migrate__done__free_unpacked(got, NULL);
}

static void json_has_each(void **state)
{
	json_t *object = counts_json(&some);

	assert_int_equal(json_object_size(object), 6);
	assert_int_equal(json_integer_value(json_object_get(object, "precopy_pages")), 1);
	assert_int_equal(json_integer_value(json_object_get(object, "push_pages")), 22);
	assert_int_equal(json_integer_value(json_object_get(object, "fault_pages")), 1UL << 40);
	assert_int_equal(json_integer_value(json_object_get(object, "zero_pages")), 4);
	assert_int_equal(json_integer_value(json_object_get(object, "image_pages")), 5);
	assert_int_equal(json_integer_value(json_object_get(object, "faults")), 666);
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(done_carries_each),
		cmocka_unit_test(json_has_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
