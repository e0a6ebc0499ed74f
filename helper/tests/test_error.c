// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/error.h"

static void first_error_wins(void **state)
{
	struct error err = { 0 };

	assert_false(error_is_set(&err));
	assert_int_equal(error_set(&err, CODE_NETWORK, "plug it in", "link %d lost", 3), -1);
	assert_int_equal(error_set(&err, CODE_CRIU, NULL, "a consequence"), -1);
	assert_true(error_is_set(&err));
	assert_int_equal(err.code, CODE_NETWORK);
	assert_string_equal(err.what, "link 3 lost");
	assert_string_equal(err.hint, "plug it in");
	assert_int_equal(err.os_errno, 0);
}

static void errno_is_appended(void **state)
{
	struct error err = { 0 };

	errno = ENOENT;
	assert_int_equal(error_errno(&err, CODE_INTERNAL, NULL, "cannot open %s", "x"), -1);
	assert_int_equal(err.os_errno, ENOENT);
	assert_string_equal(err.what, "cannot open x: No such file or directory");
	assert_string_equal(err.hint, "");
}

static void long_text_is_cut(void **state)
{
	struct error err = { 0 };
	char text[1000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	errno = EIO;
	error_errno(&err, CODE_INTERNAL, text, "%s", text);
	assert_int_equal(strlen(err.what), sizeof(err.what) - 1);
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
}

static void nowhere_to_put_it(void **state)
{
	assert_int_equal(error_set(NULL, CODE_PEER, NULL, "x"), -1);
}

static void names_are_stable(void **state)
{
	assert_string_equal(error_code_name(CODE_OK), "ok");
	assert_string_equal(error_code_name(CODE_NETWORK), "network");
	assert_string_equal(error_code_name(CODE_DOUBT), "doubt");
	assert_string_equal(error_code_name(CODE_INTERNAL), "internal");
	assert_string_equal(error_code_name(99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_error_wins),
		cmocka_unit_test(errno_is_appended),
		cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(nowhere_to_put_it),
		cmocka_unit_test(names_are_stable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
