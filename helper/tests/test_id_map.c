// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/id_map.h"

static bool add(struct id_map *map, uint32_t inside, uint32_t outside, uint32_t count)
{
	const struct id_range range = { inside, outside, count };

	return id_map_add(map, &range);
}

static void ids_are_found_both_ways(void **state)
{
	struct id_map map = { 0 };
	uint32_t outside;

	assert_true(add(&map, 0, 1000, 1));
	assert_true(add(&map, 1, 100000, 65535));
	assert_true(id_map_outside(&map, 0, &outside));
	assert_int_equal(outside, 1000);
	assert_true(id_map_outside(&map, 65535, &outside));
	assert_int_equal(outside, 165534);
	assert_false(id_map_outside(&map, 65536, &outside));
	assert_true(id_map_has(&map, 1000));
	assert_false(id_map_has(&map, 1001));
	assert_false(id_map_has(&map, 0));
	assert_true(id_map_has(&map, 165534));
	assert_false(id_map_has(&map, 165535));
}

static void wrong_ranges_are_refused(void **state)
{
	struct id_map map = { 0 };

	assert_false(add(&map, 0, 0, 0));
	assert_false(add(&map, 0, UINT32_MAX, 1));
	assert_false(add(&map, 2, 0, UINT32_MAX));
	assert_true(add(&map, 10, 100, 10));
	assert_false(add(&map, 19, 200, 1));
	assert_false(add(&map, 0, 200, 11));
	assert_false(add(&map, 30, 109, 1));
	assert_true(add(&map, 20, 110, 1));
	assert_int_equal(map.nr, 2);
	while (map.nr < ID_RANGES_MAX)
		assert_true(add(&map, 1000 + map.nr, 1000 + map.nr, 1));
	assert_false(add(&map, 5000, 5000, 1));
}

static void the_first_namespace_has_all_ids(void **state)
{
	struct id_map map, other = { 0 };
	struct error err = { 0 };

	assert_int_equal(id_map_read(&map, getpid(), "uid_map", &err), 0);
	assert_true(map.nr >= 1);
	assert_true(id_map_has(&map, getuid()));
	assert_true(id_map_same(&map, &map));
	assert_false(id_map_same(&map, &other));
	assert_int_equal(id_map_read(&map, getpid(), "no_map", &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_found_both_ways),
		cmocka_unit_test(wrong_ranges_are_refused),
		cmocka_unit_test(the_first_namespace_has_all_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
