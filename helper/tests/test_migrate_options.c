// SPDX-License-Identifier: GPL-2.0
/* What the options of migrate mean together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/error.h"
#include "cli/migrate.h"
#include "source/loss.h"

static struct migrate_options opts;

static int parse(char *one, char *two)
{
	char *argv[] = { "migrate", "--pid=66", "--to=unix:/run/x", one, two, NULL };

	return migrate_options_parse(two ? 5 : one ? 4 : 3, argv, &opts);
}

/* A limit that the user gave refuses; that which holds without it only decides when to stop. */
static void a_downtime_that_was_given_is_a_limit(void **state)
{
	assert_int_equal(parse(NULL, NULL), -1);
	assert_int_equal(opts.pid, 66);
	assert_int_equal(opts.max_downtime_ms, 300);
	assert_false(opts.limits_downtime);
	assert_int_equal(parse("--max-downtime=7", NULL), -1);
	assert_int_equal(opts.max_downtime_ms, 7);
	assert_true(opts.limits_downtime);
	assert_false(opts.force_downtime);
	assert_int_equal(parse("--max-downtime=7", "--force-downtime"), -1);
	assert_true(opts.limits_downtime && opts.force_downtime);
}

/* The program that was named by mistake must not be the one that moves. */
static void one_program_to_one_place(void **state)
{
	assert_int_equal(parse("--pid=1", NULL), CODE_USAGE);
	assert_int_equal(parse("--to=unix:/run/y", NULL), CODE_USAGE);
	assert_int_equal(parse("--shared-storage=/a", "--shared-storage=/b"), -1);
	assert_int_equal(opts.nr_shared_storage, 2);
}

static void connections_are_closed_unless_kept(void **state)
{
	assert_int_equal(parse(NULL, NULL), -1);
	assert_false(opts.keeps_tcp);
	assert_int_equal(parse("--tcp=close", NULL), -1);
	assert_false(opts.keeps_tcp);
	assert_int_equal(parse("--tcp=keep", NULL), -1);
	assert_true(opts.keeps_tcp);
	assert_int_equal(parse("--tcp=kept", NULL), CODE_USAGE);
}

static void losses_that_are_accepted(void **state)
{
	char path[] = "/srv/data//", root[] = "/";

	assert_int_equal(parse("--accept-loss", "pipe"), -1);
	assert_int_equal(opts.accepted_losses, 1UL << LOSS_PIPE);
	assert_int_equal(parse("--accept-loss", "all"), CODE_USAGE);
	assert_int_equal(parse("--accept-loss", "tcp-connections"), CODE_USAGE);
	assert_int_equal(parse("--shared-storage", "srv"), CODE_USAGE);
	assert_int_equal(parse("--shared-storage", path), -1);
	assert_int_equal(opts.nr_shared_storage, 1);
	assert_string_equal(opts.shared_storage[0], "/srv/data");
	assert_int_equal(parse("--shared-storage", root), -1);
	assert_string_equal(opts.shared_storage[0], "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_downtime_that_was_given_is_a_limit),
		cmocka_unit_test(one_program_to_one_place),
		cmocka_unit_test(connections_are_closed_unless_kept),
		cmocka_unit_test(losses_that_are_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
