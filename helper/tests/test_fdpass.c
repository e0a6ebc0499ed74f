// SPDX-License-Identifier: GPL-2.0
/* Descriptors that go to another process; the accepting process must never wait for one that takes none. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fdpass.h"

/* What came without a descriptor, and the end of the other side. */
static void a_message_and_its_descriptors_come_together(void **state)
{
	int pair[2], given[2], fds[FDPASS_MAX], got = 0;
	const int value = 5;

	assert_int_equal(fdpass_pair(pair), 0);
	assert_int_equal(pipe2(given, O_CLOEXEC), 0);
	assert_int_equal(fdpass_send(pair[0], &value, sizeof(value), given, 2), 0);
	assert_int_equal(fdpass_send(pair[0], &value, sizeof(value), NULL, 0), 0);
	close(given[0]);
	close(given[1]);
	assert_int_equal(fdpass_recv(pair[1], &got, sizeof(got), fds, 1000), 1);
	assert_int_equal(got, value);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(read(fds[0], &got, 1), 1);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fds[2], -1);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(fdpass_recv(pair[1], &got, sizeof(got), fds, 1000), 1);
	assert_int_equal(fds[0], -1);
	assert_int_equal(fdpass_recv(pair[1], &got, sizeof(got), fds, 10), -1);
	assert_int_equal(errno, ETIMEDOUT);
	close(pair[0]);
	assert_int_equal(fdpass_recv(pair[1], &got, sizeof(got), fds, 1000), 0);
	close(pair[1]);
}

static void a_full_socket_does_not_block(void **state)
{
	int pair[2], fd = open("/dev/null", O_RDONLY), fds[FDPASS_MAX], value = 0, got = 1, nr = 0;

	assert_int_equal(fdpass_pair(pair), 0);
	while (!fdpass_try_send(pair[0], &value, sizeof(value), &fd, 1))
		assert_true(++nr < 100000);
	assert_int_equal(errno, EAGAIN);
	assert_true(nr > 2);
	assert_int_equal(fdpass_recv(pair[1], &got, sizeof(got), fds, 0), 1);
	assert_int_equal(got, 0);
	close(fds[0]);
	close(pair[0]);
	close(pair[1]);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_and_its_descriptors_come_together),
		cmocka_unit_test(a_full_socket_does_not_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
