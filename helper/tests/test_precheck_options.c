// SPDX-License-Identifier: GPL-2.0
/* What a destination makes of the options of CRIU's own that a source asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "criu/config.h"
#include "dest/precheck.h"

static void setup_with_too_many_options_is_refused_once(void **state)
{
	static char *asked[CRIU_OPTIONS_MAX + 1];
	static struct criu_config here, config;
	Migrate__Setup setup = MIGRATE__SETUP__INIT;
	struct refusals refusals = { .nr = 0 };

	for (size_t i = 0; i <= CRIU_OPTIONS_MAX; i++)
		asked[i] = i ? "weak-sysctls" : "external mnt[\033]";
	setup.criu_options = asked;
	setup.n_criu_options = CRIU_OPTIONS_MAX;
	precheck_options(&setup, &here, &config, &refusals);
	assert_int_equal(config.nr, CRIU_OPTIONS_MAX - 1);
	assert_int_equal(refusals.nr, 1);
	assert_null(strchr(refusals.text[0], '\033'));
	precheck_free(&refusals);
	setup.n_criu_options++;
	precheck_options(&setup, &here, &config, &refusals);
	assert_int_equal(refusals.nr, 1);
	assert_int_equal(config.nr, 0);
	precheck_free(&refusals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setup_with_too_many_options_is_refused_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
