// SPDX-License-Identifier: GPL-2.0
/* The prediction of the time frozen: the model, and its correction by earlier migrations. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "session/cost.h"

#define MS	1000000UL

static const struct speed speed = {
	.file = 3700, .wake = 36500, .mapping = 970, .page = 1150,
};

static char dir[] = "/tmp/test-cost-XXXXXX";

static int setup(void **state)
{
	strcpy(dir, "/tmp/test-cost-XXXXXX");
	assert_non_null(mkdtemp(dir));
	cost_dir = dir;
	return 0;
}

static int teardown(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/dump-factors", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/restore-factors", dir);
	unlink(path);
	return rmdir(dir);
}

static uint64_t model(uint64_t mappings, uint64_t threads, uint64_t private_pages)
{
	struct shape shape = {
		.mappings = mappings, .threads = threads, .private_pages = private_pages,
	};

	return cost_model_ns(COST_DUMP, &shape, &speed);
}

/* Twice as much of anything costs twice as much, besides the base. */
static void model_is_linear(void **state)
{
	uint64_t base = model(0, 0, 0);

	assert_true(base > 0);
	assert_in_range(model(20000, 0, 0) - base, 2 * (model(10000, 0, 0) - base) - 2,
			2 * (model(10000, 0, 0) - base) + 2);
	assert_in_range(model(0, 500, 0) - base, 5 * (model(0, 100, 0) - base) - 5,
			5 * (model(0, 100, 0) - base) + 5);
	assert_true(model(0, 0, 64UL << 18) > base + 100 * MS);
}

/* Factors that are kept from before trees moved are of one process: the model says the same for it. */
static void further_processes_cost(void **state)
{
	struct shape shape = { .mappings = 10, .threads = 3 };

	for (int cost = COST_DUMP; cost <= COST_RESTORE; cost++) {
		uint64_t none, one, eleven, many;

		shape.processes = 0;
		none = cost_model_ns(cost, &shape, &speed);
		shape.processes = 1;
		one = cost_model_ns(cost, &shape, &speed);
		shape.processes = 11;
		eleven = cost_model_ns(cost, &shape, &speed);
		shape.processes = 101;
		many = cost_model_ns(cost, &shape, &speed);
		assert_int_equal(none, one);
		assert_true(eleven > one + 10 * MS);
		assert_in_range(many - one, 10 * (eleven - one) - 10, 10 * (eleven - one) + 10);
	}
}

/* A slow machine: all that is measured takes ten times as long. */
static void model_follows_the_machine(void **state)
{
	struct speed slow = {
		.file = 37000, .wake = 365000, .mapping = 9700, .page = 11500,
	};
	struct shape shape = { .mappings = 100, .threads = 10, .descriptors = 10, .processes = 4 };

	for (int cost = COST_DUMP; cost <= COST_RESTORE; cost++)
		assert_in_range(cost_model_ns(cost, &shape, &slow),
				10 * cost_model_ns(cost, &shape, &speed) - 10,
				10 * cost_model_ns(cost, &shape, &speed) + 10);
}

/* Pages that images carry go through both machines, those in CRIU's pipes stay at the source. */
static void pages_are_paid_where_they_go(void **state)
{
	const struct shape drained = { .drained_pages = 10000 }, image = { .image_pages = 10000 };
	uint64_t dump = cost_model_ns(COST_DUMP, &(struct shape){ 0 }, &speed);
	uint64_t restore = cost_model_ns(COST_RESTORE, &(struct shape){ 0 }, &speed);

	assert_true(cost_model_ns(COST_DUMP, &drained, &speed) > dump + 5 * MS);
	assert_int_equal(cost_model_ns(COST_RESTORE, &drained, &speed), restore);
	assert_true(cost_model_ns(COST_DUMP, &image, &speed) > dump + 5 * MS);
	assert_true(cost_model_ns(COST_RESTORE, &image, &speed) > restore + 5 * MS);
}

/*
 * What these programs took in bench/outlook (Linux 6.18, CRIU 4.1.1, the least of some moves each), and @speed was
 * measured then.
 */
static void measured_programs_fit(void **state)
{
	static const struct {
		const char *name;
		struct shape shape;
		uint64_t ms;
	} programs[] = {
		{ "redis", { 104, 6, 11, 18715, 2062, 279, 0, 1 }, 39 },
		{ "memcached", { 94, 10, 28, 120426, 347, 173, 0, 1 }, 37 },
		{ "python", { 118, 21, 4, 291629, 10912, 125, 0, 1 }, 57 },
		{ "node", { 184, 7, 19, 253471, 3774, 470, 0, 1 }, 48 },
		{ "java", { 205, 21, 8, 2185992, 6264, 3252, 0, 1 }, 120 },
		{ "go", { 57, 5, 6, 384665, 616, 35, 0, 1 }, 39 },
		{ "threads", { 1013, 501, 3, 11354, 3108, 5, 0, 1 }, 427 },
		{ "mappings", { 20012, 1, 3, 22821, 12571, 5, 0, 1 }, 281 },
		{ "reserved", { 14, 1, 3, 16780037, 2571, 5, 0, 1 }, 291 },
		{ "shell", { 43, 1, 4, 1109, 66, 27, 0, 1 }, 20 },
		{ "tree20", { 740, 20, 60, 14800, 546, 220, 0, 20 }, 125 },
		{ "tree50", { 1850, 50, 150, 37000, 1369, 550, 0, 50 }, 311 },
	};

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		uint64_t ms = (cost_model_ns(COST_DUMP, &programs[i].shape, &speed) +
			       cost_model_ns(COST_RESTORE, &programs[i].shape, &speed)) / MS;

		if (2 * ms > 3 * programs[i].ms || 3 * ms < 2 * programs[i].ms)
			fail_msg("%s: %lu ms, not %lu", programs[i].name, ms, programs[i].ms);
	}
}

static void first_move_goes_by_the_model(void **state)
{
	assert_int_equal(cost_expect_ns(COST_DUMP, "redis", 100 * MS), 100 * MS);
}

static void keep(const char *kind, int percent, int times)
{
	for (int i = 0; i < times; i++)
		cost_keep(COST_DUMP, kind, 100 * MS, percent * MS);
}

static void kinds_are_apart(void **state)
{
	keep("java", 300, 4);
	keep("redis", 100, 4);
	assert_int_equal(cost_expect_ns(COST_DUMP, "java", 10 * MS), 30 * MS);
	assert_int_equal(cost_expect_ns(COST_DUMP, "redis", 10 * MS), 10 * MS);
	/* and so are both ends */
	assert_int_equal(cost_expect_ns(COST_RESTORE, "java", 10 * MS), 10 * MS);
}

static void one_odd_migration_spoils_nothing(void **state)
{
	/* the only one so far, of its kind or at all */
	keep("redis", 5000, 1);
	assert_int_equal(cost_expect_ns(COST_DUMP, "redis", 10 * MS), 10 * MS);
	assert_int_equal(cost_expect_ns(COST_DUMP, "java", 10 * MS), 10 * MS);
	keep("redis", 120, 4);
	assert_int_equal(cost_expect_ns(COST_DUMP, "redis", 10 * MS), 12 * MS);
	keep("redis", 9000, 1);
	assert_int_equal(cost_expect_ns(COST_DUMP, "redis", 10 * MS), 12 * MS);
}

/* A machine that has become slower is followed when the old figures have gone. */
static void old_migrations_are_forgotten(void **state)
{
	keep("redis", 100, 20);
	keep("redis", 200, 4);
	assert_int_equal(cost_expect_ns(COST_DUMP, "redis", 10 * MS), 20 * MS);
}

/* A program that is new here is as slow as the others are. */
static void all_kinds_say_something(void **state)
{
	keep("a", 150, 3);
	keep("b", 160, 3);
	keep("c", 170, 3);
	assert_int_equal(cost_expect_ns(COST_DUMP, "d", 100 * MS), 160 * MS);
}

static void names_may_hold_anything(void **state)
{
	keep("a b\n\033[31m", 200, 3);
	keep("", 300, 3);
	assert_int_equal(cost_expect_ns(COST_DUMP, "a b\n\033[31m", 10 * MS), 20 * MS);
	assert_int_equal(cost_expect_ns(COST_DUMP, "", 10 * MS), 30 * MS);
}

static void many_kinds_stay_bounded(void **state)
{
	char kind[32], path[64];
	struct stat st;

	for (int i = 0; i < 400; i++) {
		snprintf(kind, sizeof(kind), "kind-%d", i);
		keep(kind, 100, 1);
	}
	snprintf(path, sizeof(path), "%s/dump-factors", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < 256 * 64);
}

static void garbage_is_left_out(void **state)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/dump-factors", dir);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "redis -5\nredis 99999999999999999999\n\nredis\njava 2000 2000 2000\n");
	fclose(file);
	assert_int_equal(cost_expect_ns(COST_DUMP, "java", 10 * MS), 20 * MS);
	keep("redis", 200, 3);
	assert_int_equal(cost_expect_ns(COST_DUMP, "redis", 10 * MS), 20 * MS);
}

static void speed_is_measured(void **state)
{
	struct speed measured;

	speed_measure(&measured);
	assert_true(measured.file && measured.wake && measured.mapping && measured.page);
	/* hundreds of pages of text */
	assert_true(measured.file > measured.mapping / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model_is_linear),
		cmocka_unit_test(further_processes_cost),
		cmocka_unit_test(model_follows_the_machine),
		cmocka_unit_test(pages_are_paid_where_they_go),
		cmocka_unit_test(measured_programs_fit),
		cmocka_unit_test_setup_teardown(first_move_goes_by_the_model, setup, teardown),
		cmocka_unit_test_setup_teardown(kinds_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(one_odd_migration_spoils_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(old_migrations_are_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(all_kinds_say_something, setup, teardown),
		cmocka_unit_test_setup_teardown(names_may_hold_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(many_kinds_stay_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(garbage_is_left_out, setup, teardown),
		cmocka_unit_test(speed_is_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
