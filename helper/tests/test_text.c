// SPDX-License-Identifier: GPL-2.0
/* Text is made printable, and cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/text.h"

static void becomes(const char *from, const char *want)
{
	char to[256];

	text_printable(to, sizeof(to), from);
	assert_string_equal(to, want);
}

static void plain_text_stays(void **state)
{
	becomes("", "");
	becomes("node-2.example (migrate-helper 0.1)", "node-2.example (migrate-helper 0.1)");
	becomes("Größe … 漢字 \xf0\x9f\x90\x8c", "Größe … 漢字 \xf0\x9f\x90\x8c");
	becomes("C:\\x41", "C:\\x41");
}

static void controls_are_escaped(void **state)
{
	becomes("\033[2J\033]0;owned\a", "\\x1b[2J\\x1b]0;owned\\x07");
	becomes("a\nmigrate-helper: done\r\n", "a\\x0amigrate-helper: done\\x0d\\x0a");
	becomes("\x7f\t", "\\x7f\\x09");
	becomes("c1 \302\2332J", "c1 \\xc2\\x9b2J");
	becomes("\xe2\x80\xa8line", "\\xe2\\x80\\xa8line");
	becomes("\342\200\256cod.exe", "\\xe2\\x80\\xaecod.exe");
}

static void what_is_no_utf8_is_escaped(void **state)
{
	becomes("\xff\xfe", "\\xff\\xfe");
	becomes("\xc0\xaf", "\\xc0\\xaf");		/* too long */
	becomes("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
	becomes("\xed\xa0\x80", "\\xed\\xa0\\x80");	/* half of a pair */
	becomes("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	becomes("\xf5", "\\xf5");
	becomes("cut \xe6\xbc", "cut \\xe6\\xbc");	/* at the end */
	becomes("\x80", "\\x80");
}

static void long_text_is_cut(void **state)
{
	size_t bytes = 8 << 20;
	char *huge = malloc(bytes + 1), to[16];

	memset(huge, 'x', bytes);
	huge[bytes] = 0;
	text_printable(to, sizeof(to), huge);
	assert_string_equal(to, "xxxxxxxxxxxx…");
	memset(huge, '\n', bytes);
	text_printable(to, sizeof(to), huge);
	assert_string_equal(to, "\\x0a\\x0a\\x0a…");
	/* just fits, and just does not */
	text_printable(to, sizeof(to), "123456789012345");
	assert_string_equal(to, "123456789012345");
	text_printable(to, sizeof(to), "1234567890123456");
	assert_string_equal(to, "123456789012…");
	text_clean(&huge, 200);
	assert_true(strlen(huge) < 200);
	free(huge);
}

static void nouns_agree(void **state)
{
	assert_string_equal(text_count(0, "page", "pages").text, "0 pages");
	assert_string_equal(text_count(1, "page", "pages").text, "1 page");
	assert_string_equal(text_count(2, "loss", "losses").text, "2 losses");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_stays), cmocka_unit_test(controls_are_escaped),
		cmocka_unit_test(what_is_no_utf8_is_escaped), cmocka_unit_test(long_text_is_cut),
		cmocka_unit_test(nouns_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
