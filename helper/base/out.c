// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/out.h"

static bool is_ready(const struct out *out)
{
	struct pollfd pfd = { .fd = out->fd, .events = POLLOUT };
	int ret;

	do {
		ret = poll(&pfd, 1, out->lost || out->no_wait ? 0 : OUT_WAIT_MS);
	} while (ret < 0 && errno == EINTR);
	return ret > 0;
}

/* True for a pipe and a terminal. A regular file has no reader, and would lose its offset. */
static bool is_read_by_others(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd)));
}

void out_own(int fd)
{
	char path[32];
	int own;

	if (!is_read_by_others(fd))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		return;
	dup2(own, fd);
	close(own);
}

static ssize_t write_now(int fd, const char *text, size_t bytes)
{
	ssize_t n = send(fd, text, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 && errno == ENOTSOCK ? write(fd, text, bytes) : n;
}

/* A pipe that is ready takes PIPE_BUF bytes without waiting, unless another process was faster. */
static bool write_piece(const struct out *out, const char *text, size_t *done, size_t bytes)
{
	size_t piece = bytes - *done < PIPE_BUF ? bytes - *done : PIPE_BUF;
	ssize_t n = write_now(out->fd, text + *done, piece);

	if (n > 0)
		*done += n;
	/* without any reader (EPIPE) there is no use in a report of lost texts */
	return n > 0 || errno == EINTR || errno == EAGAIN;
}

bool out_write(struct out *out, const char *text, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		if (!is_ready(out)) {
			out->lost++;
			out->cut |= done > 0;
			return false;
		}
		if (out->cut && write_now(out->fd, "\n", 1) == 1)
			out->cut = false;
		if (!write_piece(out, text, &done, bytes))
			return false;
	}
	return true;
}
