// SPDX-License-Identifier: GPL-2.0
/* Times are counted in the right class, and percentiles are of what was added. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/latency.h"

#define US	1000UL

static void empty(void **state)
{
	struct latency_figures figures;
	struct latency latency;

	latency_init(&latency);
	figures = latency_figures(&latency);
	assert_int_equal(figures.nr, 0);
	assert_int_equal(figures.p50_ns, 0);
	assert_int_equal(figures.p999_ns, 0);
	latency_destroy(&latency);
}

/* Class N of the powers: 2^N us and more, less than 2^(N+1) us. */
static void powers(void **state)
{
	static const struct {
		uint64_t ns;
		int power;
	} times[] = {
		{ 0, 0 }, { 999, 0 }, { US, 0 }, { 2 * US - 1, 0 }, { 2 * US, 1 }, { 4 * US - 1, 1 }, { 4 * US, 2 },
		{ 1000 * US, 9 }, { 1024 * US, 10 }, { (US << 23) - 1, 22 }, { US << 23, 23 }, { US << 30, 23 },
		{ UINT64_MAX / 2, 23 },
	};

	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		struct latency_figures figures;
		struct latency latency;

		latency_init(&latency);
		latency_add(&latency, times[i].ns);
		figures = latency_figures(&latency);
		for (int power = 0; power < LATENCY_POWERS; power++)
			assert_int_equal(figures.powers[power], power == times[i].power);
		assert_int_equal(figures.longest_ns, times[i].ns);
		/* the one time is all of them */
		assert_true(figures.p50_ns <= times[i].ns);
		latency_destroy(&latency);
	}
}

static void within(uint64_t is, uint64_t wanted)
{
	assert_in_range(is, wanted, wanted + wanted / LATENCY_PARTS + 1);
}

/* 1 to 1000 microseconds, each once; and one of a second. */
static void percentiles(void **state)
{
	struct latency_figures figures;
	struct latency latency;
	uint64_t sum = 0;

	latency_init(&latency);
	for (uint64_t us = 1000; us; us--) {
		latency_add(&latency, us * US);
		sum += us * US;
	}
	figures = latency_figures(&latency);
	assert_int_equal(figures.nr, 1000);
	assert_int_equal(figures.sum_ns, sum);
	assert_int_equal(figures.longest_ns, 1000 * US);
	within(figures.p50_ns, 500 * US);
	within(figures.p99_ns, 990 * US);
	within(figures.p999_ns, 999 * US);
	assert_true(figures.p999_ns <= figures.longest_ns);
	latency_add(&latency, 1000000 * US);
	for (int i = 0; i < 9; i++)
		latency_add(&latency, 900000 * US);
	within(latency_figures(&latency).p999_ns, 900000 * US);
	assert_int_equal(latency_figures(&latency).longest_ns, 1000000 * US);
	latency_destroy(&latency);
}

static void *add_many(void *arg)
{
	for (uint64_t i = 0; i < 10000; i++)
		latency_add(arg, i);
	return NULL;
}

static void of_many_threads(void **state)
{
	struct latency latency;
	pthread_t threads[4];

	latency_init(&latency);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, &latency), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(latency_figures(&latency).nr, 40000);
	latency_destroy(&latency);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(powers),
		cmocka_unit_test(percentiles),
		cmocka_unit_test(of_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
