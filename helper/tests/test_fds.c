// SPDX-License-Identifier: GPL-2.0
/* Which descriptors a process keeps, and how many it may have. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/fds.h"

static void only_these_stay_open(void **state)
{
	int fds[10], keep[] = { -1, -1, -1 };

	for (int i = 0; i < 10; i++)
		fds[i] = fcntl(0, F_DUPFD, 100 + 3 * i);
	keep[0] = fds[7];
	keep[2] = fds[2];
	fds_close_others(keep, 3);
	for (int i = 0; i < 10; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD) >= 0, i == 2 || i == 7);
	close(fds[2]);
	close(fds[7]);
}

static int table_size(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	int size = 0;

	assert_non_null(file);
	while (!size && fgets(line, sizeof(line), file))
		sscanf(line, "FDSize: %d", &size);
	fclose(file);
	return size;
}

static void the_table_has_room(void **state)
{
	int before = table_size();

	fds_allow_many();
	fds_make_room();
	assert_true(table_size() > before);
	assert_true(table_size() >= 16384);
	/* nothing is left open there */
	assert_true(fcntl(16384, F_GETFD) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_these_stay_open),
		cmocka_unit_test(the_table_has_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
