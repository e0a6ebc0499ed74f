// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>
#include "ui/out.h"

static bool is_ready(const struct out *out)
{
	struct pollfd pfd = { .fd = out->fd, .events = POLLOUT };
	int ret;

	do {
		ret = poll(&pfd, 1, out->lost ? 0 : OUT_WAIT_MS);
	} while (ret < 0 && errno == EINTR);
	return ret > 0;
}

/* A pipe that is ready takes PIPE_BUF bytes without waiting. */
static bool write_piece(const struct out *out, const char *text, size_t *done, size_t bytes)
{
	size_t piece = bytes - *done < PIPE_BUF ? bytes - *done : PIPE_BUF;
	ssize_t n = write(out->fd, text + *done, piece);

	if (n > 0)
		*done += n;
	/* nobody is there to be told that nobody reads */
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
		if (out->cut && write(out->fd, "\n", 1) == 1)
			out->cut = false;
		if (!write_piece(out, text, &done, bytes))
			return false;
	}
	return true;
}
