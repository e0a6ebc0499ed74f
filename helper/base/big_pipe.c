// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/big_pipe.h"

void big_pipe_widen(int fd)
{
	fcntl(fd, F_SETPIPE_SZ, BIG_PIPE_BYTES);
}

int big_pipe_open(int pipe[2])
{
	if (pipe2(pipe, O_CLOEXEC)) {
		pipe[0] = -1;
		pipe[1] = -1;
		return -1;
	}
	big_pipe_widen(pipe[1]);
	return 0;
}

int big_pipe_drain(const int pipe[2], int to, size_t bytes)
{
	while (bytes) {
		ssize_t n = splice(pipe[0], NULL, to, NULL, bytes, SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			errno = EIO;
		if (n <= 0)
			return -1;
		bytes -= n;
	}
	return 0;
}

void big_pipe_close(int pipe[2])
{
	for (int i = 0; i < 2; i++) {
		if (pipe[i] >= 0)
			close(pipe[i]);
		pipe[i] = -1;
	}
}
