// SPDX-License-Identifier: GPL-2.0
/* A pipe that takes many pages at once. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/big_pipe.h"

#define BYTES	40000

static void what_was_written_is_drained(void **state)
{
	static uint8_t data[BYTES], back[BYTES];
	int pipe[2], to = memfd_create("test", MFD_CLOEXEC);

	memset(data, 7, BYTES);
	assert_int_equal(big_pipe_open(pipe), 0);
	assert_true(fcntl(pipe[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(pipe[1], data, BYTES), BYTES);
	assert_int_equal(big_pipe_drain(pipe, to, BYTES), 0);
	assert_int_equal(pread(to, back, BYTES, 0), BYTES);
	assert_memory_equal(back, data, BYTES);
	big_pipe_close(pipe);
	assert_int_equal(pipe[0], -1);
	big_pipe_close(pipe);
	close(to);
}

/* A writer that is gone: nothing comes any more, which is no success. */
static void an_end_too_early_is_an_error(void **state)
{
	int pipe[2], to = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(big_pipe_open(pipe), 0);
	assert_int_equal(write(pipe[1], "abc", 3), 3);
	close(pipe[1]);
	pipe[1] = -1;
	assert_int_equal(big_pipe_drain(pipe, to, 4), -1);
	assert_int_equal(errno, EIO);
	big_pipe_close(pipe);
	close(to);
}

/* Of another program's making, too. A user at the limit keeps what there was. */
static void a_pipe_is_widened(void **state)
{
	int fds[2], before, after;

	assert_int_equal(pipe(fds), 0);
	before = fcntl(fds[0], F_GETPIPE_SZ);
	big_pipe_widen(fds[1]);
	after = fcntl(fds[0], F_GETPIPE_SZ);
	assert_true(after >= before);
	if (!geteuid())
		assert_int_equal(after, BIG_PIPE_BYTES);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_drained),
		cmocka_unit_test(an_end_too_early_is_an_error), cmocka_unit_test(a_pipe_is_widened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
