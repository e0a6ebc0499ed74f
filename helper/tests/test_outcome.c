// SPDX-License-Identifier: GPL-2.0
/* The outcome that a manager is told, with the end of CRIU's log. */
#define _GNU_SOURCE
#include <stdio.h>
#include "session/outcome.h"
#include "tests/msgfd_kit.h"
#include "tests/test_dir.h"

static const char *told(char *buf, size_t size)
{
	ssize_t n = recv(far, buf, size - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	buf[n] = 0;
	return buf;
}

static void outcome_with_log(void **state)
{
	struct outcome_report outcome = { .msgfd = &msgfd };
	struct error why = { .code = CODE_CRIU, .what = "the dump failed", .hint = "do this" };
	char buf[8192];
	struct test_dir dir;
	FILE *log;

	dir_make(&dir);
	snprintf(buf, sizeof(buf), "%s/dump.log", dir.path);
	log = fopen(buf, "w");
	for (int i = 0; i < 1000; i++)
		fprintf(log, "line %d\n", i);
	fprintf(log, "Error \033[31m\xff\n");
	fclose(log);
	outcome_take_log(&outcome, dir.fd, "dump.log");
	outcome_say(&outcome, &why);
	told(buf, sizeof(buf));
	assert_int_equal(buf[5], PHAUL_TYPE__ERROR);
	assert_non_null(strstr(buf + 6, "the dump failed\ndo this\nCRIU's log ends with:\nline "));
	assert_non_null(strstr(buf + 6, "line 999\nError \\x1b[31m\\xff\n"));
	assert_null(strstr(buf + 6, "line 99\n"));
	/* once */
	outcome_say(&outcome, &(struct error){ 0 });
	assert_int_equal(recv(far, buf, sizeof(buf), MSG_DONTWAIT), -1);
	outcome_free(&outcome);
	dir_remove(&dir);
}

static void outcome_without(void **state)
{
	struct outcome_report outcome = { .msgfd = &msgfd }, none = { 0 };
	char buf[64];

	outcome_take_log(&outcome, -1, "dump.log");
	outcome_say(&outcome, &(struct error){ 0 });
	told(buf, sizeof(buf));
	assert_memory_equal(buf, "\2\0\0\0\x08\2", 6);
	outcome_say(&none, &(struct error){ 0 });
	outcome_free(&outcome);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(outcome_with_log), CASE(outcome_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
