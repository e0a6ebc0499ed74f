// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "dest/places.h"
#include "dest/probe.h"
#include "os/fds.h"

/* The child may never end: close all descriptors of this migration, and serve's output. */
static void leave_all(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int std = 0; std < 3 && null >= 0; std++)
		dup2(null, std);
	fds_close_others(&fd, 1);
}

static void __attribute__((noreturn)) probe_main(probe_fn ask, const void *ctx, size_t nr, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	leave_all(fd);
	for (size_t i = 0; i < nr; i++) {
		bool answer = ask(ctx, i);

		if (write(fd, &answer, 1) != 1)
			break;
	}
	_exit(0);
}

static long read_answers(int fd, bool *answers, size_t nr, int timeout_ms)
{
	int64_t until = clock_now_ms() + timeout_ms;
	size_t got = 0;

	while (got < nr) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int64_t left = until - clock_now_ms();
		ssize_t n;

		if (left <= 0)
			break;
		if (poll(&pfd, 1, left) <= 0)
			continue;
		n = read(fd, answers + got, nr - got);
		if (n > 0)
			got += n;
		else if (!n || errno != EINTR)
			break;
	}
	return got;
}

long probe_run(probe_fn ask, const void *ctx, bool *answers, size_t nr, int timeout_ms)
{
	int pair[2];
	pid_t pid;
	long got;

	if (!nr)
		return 0;
	if (pipe2(pair, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid)
		probe_main(ask, ctx, nr, pair[1]);
	close(pair[1]);
	got = pid < 0 ? -1 : read_answers(pair[0], answers, nr, timeout_ms);
	close(pair[0]);
	if (got == (long)nr) {
		waitpid(pid, NULL, 0);
	} else if (pid > 0) {
		/* the child ends when the kernel answers its question, and init reaps it */
		kill(pid, SIGKILL);
		waitpid(pid, NULL, WNOHANG);
	}
	return got;
}
