/* SPDX-License-Identifier: GPL-2.0 */
/* A process that lacks descriptors: /proc and control groups cannot be read, or not whole. */
#ifndef MIGRATE_TESTS_NO_FDS_H
#define MIGRATE_TESTS_NO_FDS_H

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/** no_fds_begin() - @left descriptors can be opened, and no more; Return: for no_fds_end() */
static inline struct rlimit no_fds_begin(int left)
{
	struct rlimit limit, few;
	int next = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(next);
	getrlimit(RLIMIT_NOFILE, &limit);
	few = limit;
	few.rlim_cur = next + left;
	setrlimit(RLIMIT_NOFILE, &few);
	return limit;
}

static inline void no_fds_end(const struct rlimit *limit)
{
	setrlimit(RLIMIT_NOFILE, limit);
}

#endif
