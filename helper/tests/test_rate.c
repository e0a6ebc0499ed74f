// SPDX-License-Identifier: GPL-2.0
/* Which rates --max-bandwidth takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "cli/rate.h"

#define MIB	(1UL << 20)

static uint64_t parsed(const char *text)
{
	uint64_t rate = 77;

	return rate_parse(text, &rate) ? 0 : rate;
}

static void rates(void **state)
{
	assert_int_equal(parsed("1Gbit/s"), 125000000);
	assert_int_equal(parsed("100MiB/s"), 100 * MIB);
	assert_int_equal(parsed("12.5MB/s"), 12500000);
	assert_int_equal(parsed("65536B/s"), 65536);
	assert_int_equal(parsed("1GiB/s"), 1024 * MIB);
	assert_int_equal(parsed("800000kbit/s"), 100000000);
}

static void no_rates(void **state)
{
	static const char *const wrong[] = {
		"", "100", "MiB/s", "-1MiB/s", "+1MiB/s", " 1MiB/s", "1 MiB/s", "1MiB", "1MiB/s ", "0MiB/s", "inf", "nan",
		"infMiB/s", "0x10MiB/s", "0X1pMiB/s", "1e99GB/s", "65535B/s", "1mbit/s", "1Tbit/s",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(parsed(wrong[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates),
		cmocka_unit_test(no_rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
