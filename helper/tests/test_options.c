// SPDX-License-Identifier: GPL-2.0
/*
 * The options of a verb: valid and invalid values; --help has each option.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/error.h"
#include "cli/options.h"

struct opts {
	bool loud;
	const char *dir;
	unsigned long number;
};

static const char *take_dir(void *ctx, char *value)
{
	return options_path(value, &((struct opts *)ctx)->dir);
}

static const char *take_number(void *ctx, char *value)
{
	return options_number(value, 2, 10, &((struct opts *)ctx)->number);
}

static const struct cli_option options[] = {
	{ "dir", "DIR", "where", .take = take_dir },
	{ "many", "DIR", "more", .take = take_dir, .many = true },
	{ "number", "N", "how many\n(2 to 10)", .take = take_number },
	{ "loud", .text = "say more", .flag = offsetof(struct opts, loud) },
	{ 0 }
};

static const struct cli_verb verb = { "do", "[OPTION]...", "Do it.", options };

static struct opts opts;
static char said[2000];

/* What was said on stdout and stderr goes into said[]. */
static int parse(char *first, char *second)
{
	char *argv[] = { "do", first, second, NULL };
	FILE *file = tmpfile();
	int out = dup(1), err = dup(2), code;
	size_t bytes;

	memset(&opts, 0, sizeof(opts));
	fflush(stdout);
	dup2(fileno(file), 1);
	dup2(fileno(file), 2);
	code = options_parse(&verb, second ? 3 : first ? 2 : 1, argv, &opts);
	fflush(stdout);
	fflush(stderr);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	rewind(file);
	bytes = fread(said, 1, sizeof(said) - 1, file);
	said[bytes] = 0;
	fclose(file);
	return code;
}

static void good_ones_are_taken(void **state)
{
	assert_int_equal(parse(NULL, NULL), -1);
	assert_false(opts.loud);
	assert_int_equal(parse("--loud", NULL), -1);
	assert_true(opts.loud);
	assert_int_equal(parse("--dir", "/x"), -1);
	assert_string_equal(opts.dir, "/x");
	assert_int_equal(parse("--number=10", NULL), -1);
	assert_int_equal(opts.number, 10);
	assert_string_equal(said, "");
}

static void bad_ones_are_named(void **state)
{
	static char *const numbers[] = { "1", "11", "", "x", "3x", "-3", "+3", " 3",
					 "99999999999999999999" };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		assert_int_equal(parse("--number", numbers[i]), CODE_USAGE);
		assert_non_null(strstr(said, "and should be a number from 2 to 10\n"));
	}
	assert_int_equal(parse("--dir", "x"), CODE_USAGE);
	assert_non_null(strstr(said, "--dir is \"x\", and should be an absolute path\n"));
	assert_int_equal(parse("more", NULL), CODE_USAGE);
	assert_non_null(strstr(said, "\"more\" is not expected\n"));
	assert_int_equal(parse("--soft", NULL), CODE_USAGE);
	assert_int_equal(parse("--dir", NULL), CODE_USAGE);
	assert_non_null(strstr(said, "Usage: migrate-helper do [OPTION]..."));
}

/* Two values for one thing: nobody knows which one is meant. */
static void twice_is_wrong(void **state)
{
	assert_int_equal(parse("--dir=/a", "--dir=/b"), CODE_USAGE);
	assert_non_null(strstr(said, "--dir is there twice\n"));
	assert_int_equal(parse("--many=/a", "--many=/b"), -1);
	assert_string_equal(opts.dir, "/b");
	assert_int_equal(parse("--loud", "--loud"), -1);
}

static void help_has_each(void **state)
{
	assert_int_equal(parse("--help", NULL), CODE_OK);
	assert_string_equal(said,
			    "Usage: migrate-helper do [OPTION]...\n"
			    "Do it.\n\n"
			    "  --dir DIR   where\n"
			    "  --many DIR  more\n"
			    "  --number N  how many\n"
			    "              (2 to 10)\n"
			    "  --loud      say more\n"
			    "  --help      this text\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones_are_taken),
		cmocka_unit_test(bad_ones_are_named),
		cmocka_unit_test(twice_is_wrong),
		cmocka_unit_test(help_has_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
