// SPDX-License-Identifier: GPL-2.0
/* A CRIU that never says that it is loaded: this program itself, found as `criu` in PATH. */
#define _GNU_SOURCE
#include <sys/socket.h>
#include "criu/criu.h"
#include "tests/criu_fake.h"

/* What a user who interrupts the move at once does; and how the wait for CRIU went. */
struct interrupt {
	int begun, ended;
};

static void interrupt(void *ctx, int rpc_fd)
{
	struct interrupt *seen = ctx;

	if (rpc_fd < 0) {
		seen->ended++;
		return;
	}
	seen->begun++;
	/* the request is still sent, so that the wait for its answer is what ends */
	shutdown(rpc_fd, SHUT_RD);
}

static void test_interrupted(void **state)
{
	struct interrupt seen = { 0 };
	struct criu_dump *dump = NULL;
	struct error err = { 0 };
	struct test_dir bin, work;
	struct criu_dump_opts opts = { .pid = 1, .watch = interrupt, .ctx = &seen };

	criu_fake_install(&bin);
	dir_make(&work);
	opts.images_dir_fd = work.fd;
	opts.work_dir_fd = work.fd;
	assert_int_equal(criu_dump_prepare(&opts, &dump, &err), -1);
	assert_string_equal(err.what, "CRIU cannot be started");
	assert_null(dump);
	assert_int_equal(seen.begun, 1);
	assert_int_equal(seen.ended, 1);
	dir_remove(&bin);
	dir_remove(&work);
}

/* Until the helper hangs up. */
static int be_silent(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, 0) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupted),
	};

	if (argc == 4 && !strcmp(argv[2], "swrk"))
		_exit(be_silent(atoi(argv[3])));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
