// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/page.h"
#include "source/pace.h"

#define MS	1000000UL
#define MIB	(1UL << 20)

static void pieces(void **state)
{
	struct pace pace = { .bytes_per_s = 20 * 100 * PAGE_BYTES };

	assert_int_equal(pace_pages(NULL, 512), 512);
	assert_int_equal(pace_pages(&(struct pace){ 0 }, 512), 512);
	assert_int_equal(pace_pages(&pace, 512), 100);
	assert_int_equal(pace_pages(&pace, 64), 64);
	pace.bytes_per_s = PAGE_BYTES;
	assert_int_equal(pace_pages(&pace, 512), 1);
}

static uint64_t send_ms(struct pace *pace, unsigned int times, uint64_t bytes)
{
	uint64_t begin = clock_now_ns();

	while (times--)
		pace_sent(pace, bytes);
	return (clock_now_ns() - begin) / MS;
}

static void waits(void **state)
{
	struct mailbox box;
	struct pace pace = { .bytes_per_s = 100 * MIB, .box = &box };
	uint64_t ms;

	mailbox_init(&box, "the destination");
	ms = send_ms(&pace, 10, 4 * MIB);
	/* 0.05 s of it are made up for: the link had nothing to do before */
	assert_in_range(ms, 345, 2000);
	assert_int_equal(send_ms(&(struct pace){ .box = &box }, 1000, 4 * MIB) / 100, 0);
	assert_int_equal(send_ms(NULL, 1000, 4 * MIB) / 100, 0);
	mailbox_destroy(&box);
}

/* A link that was slow for long may not be fast for long. */
static void is_not_made_up_for(void **state)
{
	struct mailbox box;
	struct pace pace = { .bytes_per_s = 100 * MIB, .box = &box, .due_ns = 1 };

	mailbox_init(&box, "the destination");
	assert_in_range(send_ms(&pace, 4, 10 * MIB), 345, 2000);
	mailbox_destroy(&box);
}

static void a_failure_ends_it(void **state)
{
	struct error err = { 0 };
	struct mailbox box;
	struct pace pace = { .bytes_per_s = MIB, .box = &box };

	mailbox_init(&box, "the destination");
	error_set(&err, CODE_NETWORK, NULL, "link lost");
	mailbox_lock(&box);
	mailbox_fail_locked(&box, &err, true);
	mailbox_unlock(&box);
	assert_in_range(send_ms(&pace, 1, 1000 * MIB), 0, 500);
	mailbox_destroy(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces), cmocka_unit_test(waits),
		cmocka_unit_test(is_not_made_up_for), cmocka_unit_test(a_failure_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
