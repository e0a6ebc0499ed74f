// SPDX-License-Identifier: GPL-2.0
/*
 * Reads and writes of whole buffers, and the clock of the time-outs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"

static void all_is_written_and_read(void **state)
{
	FILE *file = tmpfile();
	char buf[8] = "";
	size_t done;

	assert_int_equal(io_write_all(fileno(file), "abcdef", 6), 0);
	assert_int_equal(io_pwrite_all(fileno(file), "XY", 2, 2), 0);
	assert_int_equal(io_pread_all(fileno(file), buf, 6, 0, &done), 0);
	assert_int_equal(done, 6);
	assert_string_equal(buf, "abXYef");
	/* the end of the file is no failure */
	assert_int_equal(io_pread_all(fileno(file), buf, 8, 4, &done), 0);
	assert_int_equal(done, 2);
	fclose(file);
}

/* A pipe takes less than all at a time. */
static void a_pipe_is_written_in_pieces(void **state)
{
	static char out[1 << 20], in[1 << 20];
	size_t got = 0;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	memset(out, 7, sizeof(out));
	pid = fork();
	if (!pid)
		_exit(io_write_all(fds[1], out, sizeof(out)) ? 1 : 0);
	close(fds[1]);
	while (got < sizeof(in)) {
		ssize_t n = read(fds[0], in + got, sizeof(in) - got);

		assert_true(n > 0);
		got += n;
	}
	assert_memory_equal(in, out, sizeof(in));
	close(fds[0]);
}

static void failures_have_their_errno(void **state)
{
	int full = open("/dev/full", O_RDWR);
	char byte;
	size_t done = 1;

	assert_int_equal(io_write_all(full, "x", 1), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(io_pread_all(-1, &byte, 1, 0, &done), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(done, 0);
	assert_int_equal(io_write_text("/dev/full", "x"), -1);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(io_write_text("/proc/no/such", "x"), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(io_write_text("/dev/null", "x"), 0);
	close(full);
}

static void deadlines_carry_over(void **state)
{
	uint64_t before = clock_now_ns(), after;
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, 1999);
	uint64_t at = until.tv_sec * CLOCK_NS_PER_S + until.tv_nsec;

	after = clock_now_ns();
	assert_true(until.tv_nsec < CLOCK_NS_PER_S);
	assert_true(at >= before + 1999 * CLOCK_NS_PER_MS);
	assert_true(at <= after + 1999 * CLOCK_NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_written_and_read),
		cmocka_unit_test(a_pipe_is_written_in_pieces),
		cmocka_unit_test(failures_have_their_errno),
		cmocka_unit_test(deadlines_carry_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
