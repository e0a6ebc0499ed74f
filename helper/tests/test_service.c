// SPDX-License-Identifier: GPL-2.0
/* The socket that a socket unit hands over. A process that is part of no service leaves none. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "os/service.h"

#define FIRST	3	/* SD_LISTEN_FDS_START */

static char top[64], path[128];

static int make_top(void **state)
{
	strcpy(top, "/tmp/test-service-XXXXXX");
	snprintf(path, sizeof(path), "%s/socket", mkdtemp(top));
	return 0;
}

static int remove_top(void **state)
{
	unlink(path);
	return rmdir(top);
}

static int unix_socket(const char *name, mode_t mode)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink(path);
	strcpy(addr.sun_path, name);
	if (bind(fd, (void *)&addr, sizeof(addr.sun_family) + strlen(name)) || listen(fd, 1))
		abort();
	if (*name && chmod(name, mode))
		abort();
	return fd;
}

static int tcp_socket(bool listens)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (void *)&addr, sizeof(addr)) || (listens && listen(fd, 1)))
		abort();
	return fd;
}

/** struct answer - of service_socket() */
struct answer {
	int ret;
	bool cloexec, again;
	struct error err;
};

/* In a child, as systemd starts a service with @nr sockets, the first of which is @fd. */
static struct answer ask(int fd, int nr)
{
	struct answer answer = { 0 };
	int pair[2];
	pid_t child;

	assert_int_equal(pipe(pair), 0);
	child = fork();
	if (!child) {
		char text[16];
		int out = fcntl(pair[1], F_DUPFD, 100), got = -1;

		dup2(fd, FIRST);
		snprintf(text, sizeof(text), "%d", getpid());
		setenv("LISTEN_PID", text, 1);
		snprintf(text, sizeof(text), "%d", nr);
		setenv("LISTEN_FDS", text, 1);
		answer.ret = service_socket(&got, &answer.err);
		answer.cloexec = got == FIRST && fcntl(got, F_GETFD) & FD_CLOEXEC;
		answer.again = getenv("LISTEN_FDS");
		_exit(write(out, &answer, sizeof(answer)) != sizeof(answer));
	}
	assert_int_equal(read(pair[0], &answer, sizeof(answer)), sizeof(answer));
	waitpid(child, NULL, 0);
	close(pair[0]);
	close(pair[1]);
	close(fd);
	return answer;
}

static void a_socket_of_root_alone_is_taken(void **state)
{
	struct answer answer = ask(unix_socket(path, 0600), 1);

	assert_int_equal(answer.ret, 1);
	assert_true(answer.cloexec);
	/* children must not take it for theirs */
	assert_false(answer.again);
}

static void a_socket_of_others_is_refused(void **state)
{
	static const mode_t modes[] = { 0660, 0606, 0602, 0666 };

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		struct answer answer = ask(unix_socket(path, modes[i]), 1);

		assert_int_equal(answer.ret, -1);
		assert_non_null(strstr(answer.err.what, "others than root"));
	}
}

static void a_socket_without_a_file_is_refused(void **state)
{
	struct answer answer = ask(unix_socket("", 0), 1);

	assert_int_equal(answer.ret, -1);
	assert_non_null(strstr(answer.err.what, "no path"));
	assert_int_equal(ask(unix_socket(path, 0600), 1).ret, 1);
}

static void a_file_that_is_gone_is_refused(void **state)
{
	int fd = unix_socket(path, 0600);

	unlink(path);
	assert_int_equal(ask(fd, 1).ret, -1);
}

static void tcp_is_taken_when_it_listens(void **state)
{
	assert_int_equal(ask(tcp_socket(true), 1).ret, 1);
	assert_int_equal(ask(tcp_socket(false), 1).ret, -1);
	assert_int_equal(ask(open("/dev/null", O_RDWR), 1).ret, -1);
}

static void several_are_refused(void **state)
{
	struct answer answer = ask(tcp_socket(true), 2);

	assert_int_equal(answer.ret, -1);
	assert_int_equal(answer.err.code, CODE_USAGE);
}

static void no_service_is_left(void **state)
{
	struct error err = { 0 };
	int fd;

	assert_int_equal(service_socket(&fd, &err), 0);
	assert_int_equal(service_check(&err), 0);
	assert_int_equal(service_leave("migrate-test", "a test", &err), 0);
	assert_false(error_is_set(&err));
	service_say("READY=1");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_of_root_alone_is_taken),
		cmocka_unit_test(a_socket_of_others_is_refused),
		cmocka_unit_test(a_socket_without_a_file_is_refused),
		cmocka_unit_test(a_file_that_is_gone_is_refused),
		cmocka_unit_test(tcp_is_taken_when_it_listens),
		cmocka_unit_test(several_are_refused),
		cmocka_unit_test(no_service_is_left),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
