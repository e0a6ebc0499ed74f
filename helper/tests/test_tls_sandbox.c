// SPDX-License-Identifier: GPL-2.0
/* What the process of a TLS connection cannot do any more, tried by one that has entered the sandbox. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "wire/tls_sandbox.h"

/* By numbers, past what the C library or a sanitizer makes of a call. */
static bool is_denied(long ret)
{
	return ret == -1 && errno == EPERM;
}

/** struct try - one thing that a stranger would like to do */
struct try {
	const char *what;
	bool (*denied)(void);
};

static bool open_file(void)
{
	return is_denied(syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY));
}

static bool make_socket(void)
{
	return is_denied(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));
}

static bool make_process(void)
{
	return is_denied(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static bool execute(void)
{
	char *const argv[] = { "/bin/true", NULL };

	return is_denied(syscall(SYS_execve, argv[0], argv, argv + 1));
}

static bool signal_another(void)
{
	return is_denied(syscall(SYS_kill, 1, 0));
}

static bool trace_another(void)
{
	return is_denied(syscall(SYS_ptrace, 0, 0, 0, 0));
}

static bool read_another(void)
{
	return is_denied(syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
}

static bool map_code(void)
{
	return is_denied(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static bool duplicate(void)
{
	return syscall(SYS_fcntl, 0, F_DUPFD, 0) == -1;
}

static bool signal_by_descriptor(void)
{
	return is_denied(syscall(SYS_fcntl, 0, F_SETOWN, 1)) && is_denied(syscall(SYS_fcntl, 0, F_SETFL, O_ASYNC));
}

/* And what it is there for. */
static bool cannot_poll(void)
{
	struct pollfd fds[2] = { { .fd = -1 }, { .fd = -1 } };

	return poll(fds, 2, 0) < 0 || syscall(SYS_fcntl, 0, F_SETFL, O_NONBLOCK);
}

static const struct try denied[] = {
	{ "open a file", open_file }, { "make a socket", make_socket },
	{ "make a process", make_process }, { "execute a program", execute },
	{ "signal a process", signal_another }, { "trace a process", trace_another },
	{ "read a process", read_another }, { "map code", map_code },
	{ "duplicate a descriptor", duplicate }, { "signal by a descriptor", signal_by_descriptor },
};

/* Return: number of the first thing that it could do, counted from 1; 0: none */
static int try_all(void)
{
	struct error err = { 0 };

	if (tls_sandbox_enter(&err))
		return 100;
	for (size_t i = 0; i < sizeof(denied) / sizeof(*denied); i++)
		if (!denied[i].denied())
			return i + 1;
	return cannot_poll() ? 101 : 0;
}

static void nothing_can_be_done(void **state)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(try_all());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) && WEXITSTATUS(status) < 100)
		print_error("it could %s\n", denied[WEXITSTATUS(status) - 1].what);
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void find_line(const char *text, const char *key, const char *value)
{
	const char *line = strstr(text, key);

	assert_non_null(line);
	assert_memory_equal(line + strlen(key), value, strlen(value));
}

static void it_is_nobody(void **state)
{
	char path[64], text[4096] = "";
	int pair[2], fd;
	pid_t pid;

	if (geteuid())
		skip();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = fork();
	if (!pid) {
		struct error err = { 0 };
		char byte;

		close(pair[0]);
		byte = tls_sandbox_enter(&err) ? 1 : 0;

		if (write(pair[1], &byte, 1) == 1)
			byte = read(pair[1], &byte, 1);
		_exit(0);
	}
	assert_int_equal(read(pair[0], text, 1), 1);
	assert_int_equal(text[0], 0);
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	close(pair[0]);
	close(pair[1]);
	waitpid(pid, NULL, 0);
	find_line(text, "\nUid:\t", "65534\t65534\t65534\t65534");
	find_line(text, "\nGroups:\t", " \n");
	find_line(text, "\nCapPrm:\t", "0000000000000000");
	find_line(text, "\nNoNewPrivs:\t", "1");
	find_line(text, "\nSeccomp:\t", "2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_can_be_done),
		cmocka_unit_test(it_is_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
