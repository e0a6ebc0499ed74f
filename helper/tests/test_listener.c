// SPDX-License-Identifier: GPL-2.0
/* A listener that has no descriptor left rests, and its caller is not lost. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "wire/listener.h"

static int bound(struct sockaddr_un *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* the kernel chooses an abstract name */
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	assert_int_equal(bind(fd, (void *)addr, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(fd, (void *)addr, &len), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int call(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (void *)addr, sizeof(sa_family_t) + 6), 0);
	return fd;
}

static void a_caller_is_accepted_without_a_wait(void **state)
{
	struct listener listener;
	struct sockaddr_un addr;
	int caller, fd;

	listener_init(&listener, bound(&addr));
	assert_int_equal(listener_accept(&listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(listener_poll_fd(&listener), listener.fd);
	caller = call(&addr);
	fd = listener_accept(&listener, NULL, NULL);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	close(caller);
	listener_close(&listener);
	assert_int_equal(listener.fd, -1);
	listener_close(&listener);
}

static void it_rests_when_descriptors_are_short(void **state)
{
	struct rlimit before, none;
	struct listener listener;
	struct sockaddr_un addr;
	int caller, fd;

	listener_init(&listener, bound(&addr));
	caller = call(&addr);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	fd = listener_accept(&listener, NULL, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(listener_poll_fd(&listener), -1);
	assert_in_range(listener.rests_until_ms, clock_now_ms(), clock_now_ms() + LISTENER_REST_MS);
	listener.rests_until_ms = clock_now_ms();
	assert_int_equal(listener_poll_fd(&listener), listener.fd);
	fd = listener_accept(&listener, NULL, NULL);
	assert_true(fd >= 0);
	close(fd);
	close(caller);
	listener_close(&listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_caller_is_accepted_without_a_wait),
		cmocka_unit_test(it_rests_when_descriptors_are_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
