// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "criu/sockopts.h"

/* What CRIU asks, and what it must be told: a TCP socket passes nothing, on any kernel. */
static int ask(void)
{
	int tcp = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);
	static const int options[] = { SO_PASSCRED, SO_PASSSEC };
	int value, one = 1;
	socklen_t bytes = sizeof(value);

	for (int i = 0; i < 2; i++) {
		value = 7;
		if (getsockopt(tcp, SOL_SOCKET, options[i], &value, &bytes) || value ||
		    bytes != sizeof(value))
			return 1 + i;
	}
	if (setsockopt(local, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) ||
	    getsockopt(local, SOL_SOCKET, SO_PASSCRED, &value, &bytes) || value != 1)
		return 3;
	if (getsockopt(tcp, SOL_SOCKET, SO_TYPE, &value, &bytes) || value != SOCK_STREAM)
		return 4;
	if (!getsockopt(-1, SOL_SOCKET, SO_PASSCRED, &value, &bytes))
		return 5;
	return 0;
}

/* The filter stops nothing else: no other architecture's calls, no gain of privileges. */
static int ask_rest(void)
{
#ifdef __x86_64__
	/* x32: most kernels have no such call, and say so */
	syscall(__X32_SYSCALL_BIT | SYS_getpid);
#endif
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) ? 6 : 0;
}

static void child_main(const int *pair, bool filtered)
{
	int listener = filtered ? sockopts_filter() : -1;
	char byte;

	/* it goes on when its listener is elsewhere too */
	if (write(pair[1], &listener, sizeof(listener)) != sizeof(listener) ||
	    read(pair[1], &byte, 1) != 1)
		_exit(20);
	byte = ask();
	_exit(byte ? byte : ask_rest());
}

/* Return: what the questions of a child came to */
static int asked_by_child(bool filtered)
{
	int pair[2], listener, status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (!pid)
		child_main(pair, filtered);
	assert_int_equal(read(pair[0], &listener, sizeof(listener)), sizeof(listener));
	if (filtered) {
		int pidfd = pidfd_open(pid, 0);

		assert_true(listener >= 0);
		listener = pidfd_getfd(pidfd, listener, 0);
		assert_true(listener >= 0);
		close(pidfd);
	}
	assert_int_equal(write(pair[0], "", 1), 1);
	while (waitpid(pid, &status, WNOHANG) != pid) {
		struct pollfd fd = { .fd = listener, .events = POLLIN };

		if (poll(&fd, 1, 10) > 0 && fd.revents & POLLIN)
			sockopts_answer(listener, pid);
	}
	if (listener >= 0)
		close(listener);
	close(pair[0]);
	close(pair[1]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void answers_are_right(void **state)
{
	assert_int_equal(asked_by_child(true), 0);
}

/* Without us it is as the probe says: else the case above shows nothing. */
static void probe_is_right(void **state)
{
	assert_int_equal(asked_by_child(false), sockopts_refused() ? 1 : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_right),
		cmocka_unit_test(probe_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
