// SPDX-License-Identifier: GPL-2.0
/* The contents that Setup may have. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tests/setup_bench.h"

static void nothing_is_wrong(void **state)
{
	assert_int_equal(refusals(*state), 0);
}

static enum exit_code objects(struct bench *bench)
{
	struct error err = { 0 };

	assert_true(!precheck_objects(&bench->setup, &err) == !error_is_set(&err));
	return err.code;
}

/* What frames name are address spaces, and the first is the root's. */
static void the_root_comes_first(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(objects(bench), CODE_OK);
	bench->setup.n_objects = 0;
	assert_int_equal(objects(bench), CODE_PEER);
	bench->setup.n_objects = 1;
	bench->object.id = 0;
	assert_int_equal(objects(bench), CODE_PEER);
	bench->object.id = 7;
	bench->object.kind = MIGRATE__OBJECT_KIND__SHM;
	assert_int_equal(objects(bench), CODE_PEER);
	bench->object.kind = MIGRATE__OBJECT_KIND__MM;
	bench->object.pid++;
	assert_int_equal(objects(bench), CODE_PEER);
	bench->object.pid--;
	bench->object.has_pid = false;
	assert_int_equal(objects(bench), CODE_PEER);
	bench->object.has_pid = true;
	assert_int_equal(objects(bench), CODE_OK);
}

static void cpu_flags(void **state)
{
	char *flags[] = { "", " ", "fpu", "no-such-flag\n", "\033[2J" };
	struct bench *bench = *state;

	bench->setup.cpu_flags = flags;
	bench->setup.n_cpu_flags = 5;
	/* the empty ones and those that the CPU lacks, in one line that can be printed */
	assert_int_equal(refusals(bench), 1);
	assert_non_null(strstr(bench->refusals.text[0], "no-such-flag"));
	assert_null(strpbrk(bench->refusals.text[0], "\033\n"));
}

/* More than are compared would be none that is compared. */
static void too_many_cpu_flags(void **state)
{
	static char *flags[5000];
	struct bench *bench = *state;

	for (size_t i = 0; i < 5000; i++)
		flags[i] = "no-such-flag";
	bench->setup.cpu_flags = flags;
	bench->setup.n_cpu_flags = 5000;
	assert_int_equal(refusals(bench), 1);
}

static void sizes_that_overflow(void **state)
{
	static const uint64_t bytes[] = { UINT64_MAX, UINT64_MAX / 11 * 10, 1UL << 63, 1UL << 47 };
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++) {
		bench->setup.rss_bytes = bytes[i];
		assert_true(refusals(bench) > 0);
		precheck_free(&bench->refusals);
	}
}

#define BASE		0x7f0000000000UL
#define AT(page)	(BASE + (page) * PAGE_BYTES)

static int vmas(const uint64_t (*bounds)[2], size_t nr)
{
	Migrate__Vma vma[8], *list[8];
	struct mirror_range *ranges = NULL;
	struct error err = { 0 };
	size_t nr_ranges;
	int ret;

	for (size_t i = 0; i < nr; i++) {
		migrate__vma__init(&vma[i]);
		vma[i].start = bounds[i][0];
		vma[i].end = bounds[i][1];
		vma[i].ours = true;
		list[i] = &vma[i];
	}
	ret = precheck_vmas(list, nr, &ranges, &nr_ranges, &err);
	if (ret)
		assert_int_equal(err.code, CODE_PEER);
	else
		assert_int_equal(nr_ranges, nr);
	free(ranges);
	return ret;
}

static void mappings_are_checked(void **state)
{
	static const uint64_t good[][2] = { { AT(0), AT(1) }, { AT(1), AT(3) }, { AT(9), AT(10) } };
	static const uint64_t overlap[][2] = { { AT(0), AT(2) }, { AT(1), AT(3) } };
	static const uint64_t order[][2] = { { AT(5), AT(6) }, { AT(1), AT(3) } };
	static const uint64_t empty[][2] = { { AT(5), AT(5) } };
	static const uint64_t crooked[][2] = { { AT(5) + 1, AT(6) } };
	static const uint64_t high[][2] = { { AT(5), USER_END + PAGE_BYTES } };

	assert_int_equal(vmas(good, 3), 0);
	assert_int_equal(vmas(overlap, 2), -1);
	assert_int_equal(vmas(order, 2), -1);
	assert_int_equal(vmas(empty, 1), -1);
	assert_int_equal(vmas(crooked, 1), -1);
	assert_int_equal(vmas(high, 1), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(nothing_is_wrong), BENCH_TEST(the_root_comes_first),
		BENCH_TEST(cpu_flags), BENCH_TEST(too_many_cpu_flags),
		BENCH_TEST(sizes_that_overflow),
		cmocka_unit_test(mappings_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
