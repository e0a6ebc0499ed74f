// SPDX-License-Identifier: GPL-2.0
/* A migration that is given up leaves no descriptor open: another try begins in the same process. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/guard_lock.h"
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

/** struct kit - a program, and how it is moved; @opts: the images are in @dir */
struct kit {
	struct migrate_options opts;
	struct test_dir dir;
};

/* Without what the caller of this test has, which may be refused: open files, and a session from outside. */
static void be_program(void)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close_range(3, ~0U, 0);
	alarm(60);
	for (;;)
		pause();
}

static int set_up(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));
	int ready[2];
	char none;

	*state = kit;
	dir_make(&kit->dir);
	kit->opts = (struct migrate_options){ .to = "unix:/nonexistent/socket", .images_base = kit->dir.path,
		.ledger = kit->dir.path, .given = GIVEN_NONE,
	};
	assert_int_equal(pipe(ready), 0);
	kit->opts.pid = fork();
	assert_true(kit->opts.pid >= 0);
	if (!kit->opts.pid)
		be_program();
	/* it has closed this, too */
	close(ready[1]);
	assert_int_equal(read(ready[0], &none, 1), 0);
	close(ready[0]);
	return 0;
}

static int tear_down(void **state)
{
	struct kit *kit = *state;

	kill(kit->opts.pid, SIGKILL);
	waitpid(kit->opts.pid, NULL, 0);
	dir_remove(&kit->dir);
	free(kit);
	return 0;
}

static void a_try_leaves_nothing_open(void **state)
{
	struct kit *kit = *state;
	int before = count_fds(), code = source_migration_run(&kit->opts);

	assert_int_not_equal(code, CODE_OK);
	assert_int_not_equal(code, CODE_INTERNAL);
	assert_int_equal(count_fds(), before);
}

static void a_second_one_is_refused(void **state)
{
	struct kit *kit = *state;
	struct guard first = { .pid = kit->opts.pid, .pidfd = -1 };
	struct error err = { 0 };

	assert_int_equal(guard_lock(&first, &err), 0);
	assert_int_equal(source_migration_run(&kit->opts), CODE_REFUSED);
	guard_close(&first);
	/* there is no destination, or no CRIU */
	assert_int_not_equal(source_migration_run(&kit->opts), CODE_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_try_leaves_nothing_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_second_one_is_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
