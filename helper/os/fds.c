// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <unistd.h>
#include "os/fds.h"

#define MANY	65536
#define ROOM	16384UL	/* 128 KiB of the kernel: two for each of thousands of processes */

void fds_close_others(const int *keep, size_t nr)
{
	int from = 3;

	for (;;) {
		int next = -1;

		for (size_t i = 0; i < nr; i++)
			if (keep[i] >= from && (next < 0 || keep[i] < next))
				next = keep[i];
		if (next < 0)
			break;
		if (next > from)
			close_range(from, next - 1, 0);
		from = next + 1;
	}
	close_range(from, ~0U, 0);
}

void fds_allow_many(void)
{
	struct rlimit now, limit;

	if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur >= MANY)
		return;
	limit.rlim_cur = MANY;
	limit.rlim_max = now.rlim_max > MANY ? now.rlim_max : MANY;
	if (!setrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max = now.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void fds_make_room(void)
{
	struct rlimit limit;
	int fd;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	/* the table stays as large as it was made for the highest descriptor */
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)(limit.rlim_cur < ROOM ? limit.rlim_cur - 1 : ROOM));
	if (fd >= 0)
		close(fd);
}
