// SPDX-License-Identifier: GPL-2.0
/* Ranges of addresses, as a person writes them. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "os/net_ranges.h"

static bool has(const struct net_ranges *ranges, const char *text)
{
	struct net_address address = { .len = strchr(text, ':') ? 16 : 4 };

	assert_int_equal(inet_pton(address.len == 16 ? AF_INET6 : AF_INET, text, address.bytes), 1);
	return net_ranges_have(ranges, &address);
}

static void borders(void **state)
{
	struct net_ranges ranges;

	assert_int_equal(net_ranges_parse(&ranges, "10.2.0.0/23,192.0.2.7,fd02::/15,::/0"), 0);
	assert_int_equal(ranges.nr, 4);
	assert_true(has(&ranges, "10.2.1.255"));
	assert_false(has(&ranges, "10.2.2.0"));
	assert_false(has(&ranges, "10.1.255.255"));
	assert_true(has(&ranges, "192.0.2.7"));
	assert_false(has(&ranges, "192.0.2.6"));
	assert_true(has(&ranges, "fe80::1"));
	assert_int_equal(net_ranges_parse(&ranges, "fd02::/15"), 0);
	assert_true(has(&ranges, "fd03::1"));
	assert_false(has(&ranges, "fd04::1"));
	/* of another family */
	assert_false(has(&ranges, "253.2.0.0"));
	assert_int_equal(net_ranges_parse(&ranges, "0.0.0.0/0"), 0);
	assert_true(has(&ranges, "255.255.255.255"));
	assert_false(has(&ranges, "::1"));
}

static void wrong_texts(void **state)
{
	static const char *const texts[] = {
		"", "10.2.0.0/33", "10.2.0.0/", "10.2.0.0/-1", "10.2.0.0/8x", "10.2.0", "fd02::/129", "host",
		"10.0.0.1,", ",10.0.0.1",
	};
	char many[NET_RANGES_MAX * 10 + 20] = "10.0.0.1";
	struct net_ranges ranges;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(net_ranges_parse(&ranges, texts[i]), -1);
	for (int i = 1; i < NET_RANGES_MAX; i++)
		strcat(many, ",10.0.0.1");
	assert_int_equal(net_ranges_parse(&ranges, many), 0);
	strcat(many, ",10.0.0.1");
	assert_int_equal(net_ranges_parse(&ranges, many), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(borders), cmocka_unit_test(wrong_texts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
