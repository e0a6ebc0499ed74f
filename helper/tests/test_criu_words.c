// SPDX-License-Identifier: GPL-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "criu/words.h"

static void advice_goes(void **state)
{
	static const char *const texts[][2] = {
		{ "External socket is used. Consider using --ext-unix-sk option.",
		  "External socket is used" },
		{ "Can't create link remap for /tmp/a. Use link-remap option.",
		  "Can't create link remap for /tmp/a" },
		{ "Can't dump ghost file /tmp/a of 9 size, increase limit",
		  "Can't dump ghost file /tmp/a of 9 size" },
		{ "Connected TCP socket, consider using --tcp-established option.",
		  "Connected TCP socket" },
		{ "In-flight connections can be ignored with the --skip-in-flight option.", "" },
		{ "The TCP_REPAIR_WINDOW option isn't supported",
		  "The TCP_REPAIR_WINDOW option isn't supported" },
		{ "fd 4 already in use (called at a.c:7)", "fd 4 already in use (called at a.c:7)" },
		{ "Can't open file a.b, x;y: No such file or directory",
		  "Can't open file a.b, x;y: No such file or directory" },
		{ "", "" }, { ". ", "" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char text[128];

		strcpy(text, texts[i][0]);
		assert_int_equal(criu_words_clean(text), *texts[i][1] != 0);
		assert_string_equal(text, texts[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(advice_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
