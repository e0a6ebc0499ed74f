// SPDX-License-Identifier: GPL-2.0
/* A migration that is given up leaves no descriptor open: another try begins in the same process. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/options.h"
#include "tests/test_dir.h"

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int nr = 0;

	assert_non_null(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

static void a_try_leaves_nothing_open(void **state)
{
	struct migrate_options opts = { .to = "unix:/nonexistent/socket" };
	struct test_dir dir;
	int before, code;
	pid_t pid;

	dir_make(&dir);
	opts.images_base = dir.path;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		alarm(60);
		for (;;)
			pause();
	}
	opts.pid = pid;
	before = count_fds();
	code = source_migration_run(&opts);
	assert_int_not_equal(code, CODE_OK);
	assert_int_not_equal(code, CODE_INTERNAL);
	assert_int_equal(count_fds(), before);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	dir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_try_leaves_nothing_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
