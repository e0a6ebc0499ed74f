// SPDX-License-Identifier: GPL-2.0
/* What is told of a dump that failed: in CRIU's answer, or in its log. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/stat.h>
#include "tests/criu_rpc_fake.h"

static void check_failure(struct fixture *f, enum act act, const char *text)
{
	struct criu_dump *dump;

	assert_int_equal(start(f, act, &dump), -1);
	assert_null(dump);
	assert_int_equal(f->err.code, CODE_CRIU);
	if (!strstr(f->err.what, text))
		fail_msg("'%s' is not in '%s'", text, f->err.what);
}

static void check_hint(struct fixture *f)
{
	char log[64];

	snprintf(log, sizeof(log), "%s/dump.log", f->work.path);
	assert_non_null(strstr(f->err.hint, log));
	assert_null(strchr(f->err.what, '\n'));
}

static void test_fail(void **state)
{
	check_failure(*state, ACT_FAIL, "cannot dump task 2: the task has a strange thing");
	check_hint(*state);
}

static void test_ends(void **state)
{
	check_failure(*state, ACT_ENDS, strerror(ESRCH));
	check_hint(*state);
}

static void test_mute(void **state)
{
	check_failure(*state, ACT_MUTE, "gives no reason");
}

/* The first error that CRIU passes on is none when there is a parent; the log knows better. */
static void check_log(struct fixture *f, enum act act)
{
	char path[64];
	struct stat st;

	check_failure(f, act, "the root of it");
	check_hint(f);
	snprintf(path, sizeof(path), "%s/dump.log", f->work.path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, LOG_FILLERS * strlen(LOG_FILLER) + strlen(fake_log_text));
}

static void test_log(void **state)
{
	check_log(*state, ACT_LOG);
}

/* CRIU waits for a reader, in the program too, until there is another one. */
static void test_log_killed(void **state)
{
	check_log(*state, ACT_LOG_KILLED);
}

/* Images of another machine can make CRIU say as much as they like: the end is what matters. */
static void test_log_long(void **state)
{
	struct fixture *f = *state;
	char path[64];
	struct stat st;

	check_failure(f, ACT_LOG_LONG, "the root of it");
	snprintf(path, sizeof(path), "%s/dump.log", f->work.path);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size < LOG_BYTES_MAX);
}

static void test_die(void **state)
{
	check_failure(*state, ACT_DIE, "CRIU died");
	check_hint(*state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_die, setup, teardown),
	};

	if (argc == 4 && !strcmp(argv[2], "swrk"))
		_exit(fake_criu(atoi(argv[3])));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
