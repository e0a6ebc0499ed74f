// SPDX-License-Identifier: GPL-2.0
/* Descriptors of the command line: what each may be. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "wire/given.h"

static struct error err;
static int unix_fds[3][2];

static int open_all(void **state)
{
	memset(&err, 0, sizeof(err));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, unix_fds[i]), 0);
	return 0;
}

static int close_all(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		close(unix_fds[i][0]);
		close(unix_fds[i][1]);
	}
	return 0;
}

static struct given all_three(void)
{
	return (struct given){
		.rpc = unix_fds[0][0], .mem = { unix_fds[1][0], unix_fds[2][0] }, .nr_mem = 2, .fs = -1, .msg = -1,
	};
}

static void refused(const struct given *given, const char *what)
{
	memset(&err, 0, sizeof(err));
	assert_int_equal(given_check(given, &err), -1);
	assert_int_equal(err.code, CODE_USAGE);
	assert_non_null(strstr(err.what, what));
}

static void none(void **state)
{
	struct given given = GIVEN_NONE;

	assert_false(given_has_link(&given));
	assert_int_equal(given_check(&given, &err), 0);
}

static void whole_link(void **state)
{
	struct given given = all_three();

	assert_int_equal(given_check(&given, &err), 0);
	/* no other program inherits it, and calls wait on it */
	assert_int_equal(fcntl(given.mem[1], F_GETFD), FD_CLOEXEC);
	assert_false(fcntl(given.rpc, F_GETFL) & O_NONBLOCK);
}

static void parts_are_missing(void **state)
{
	struct given given = all_three();

	given.nr_mem = 1;
	refused(&given, "second one carries");
	given.nr_mem = 0;
	refused(&given, "--fdmem is missing");
	given = all_three();
	given.rpc = -1;
	refused(&given, "--fdrpc is missing");
}

static void one_socket_twice(void **state)
{
	struct given given = all_three();

	given.mem[1] = given.mem[0];
	refused(&given, "are one socket");
	given.mem[1] = dup(given.rpc);
	refused(&given, "are one socket");
	close(given.mem[1]);
	given = all_three();
	given.msg = given.rpc;
	refused(&given, "are one socket");
}

static void no_sockets(void **state)
{
	struct given given = GIVEN_NONE;
	int pipe_fds[2], pair[2];

	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	given.msg = pipe_fds[0];
	refused(&given, "is no stream socket");
	given.msg = pair[0];
	refused(&given, "is no stream socket");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	given.msg = pipe_fds[0];
	refused(&given, "Bad file descriptor");
	close(pair[0]);
	close(pair[1]);
	given.msg = socket(AF_UNIX, SOCK_STREAM, 0);
	refused(&given, "has no other end");
	close(given.msg);
}

static void tcp(void **state)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), near = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	struct given given = all_three();

	assert_int_equal(bind(listener, (void *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (void *)&addr, &len), 0);
	assert_int_equal(connect(near, (void *)&addr, len), 0);
	given.mem[0] = near;
	refused(&given, "without encryption");
	given.insecure = true;
	memset(&err, 0, sizeof(err));
	assert_int_equal(given_check(&given, &err), 0);
	/* a manager is told no memory */
	given = GIVEN_NONE;
	given.msg = near;
	assert_int_equal(given_check(&given, &err), 0);
	close(near);
	close(listener);
}

#define CASE(test)	cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(none), CASE(whole_link), CASE(parts_are_missing), CASE(one_socket_twice), CASE(no_sockets),
		CASE(tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
