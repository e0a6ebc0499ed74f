// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "criu/kept_log.h"

#define KEPT_DIR	"/var/lib/migrate-helper"
#define KEPT_BYTES_MAX	(16U << 20)

static int copy(int from, int to)
{
	size_t left = KEPT_BYTES_MAX;
	ssize_t n;

	do {
		n = sendfile(to, from, NULL, left);
		left -= n > 0 ? n : 0;
	} while ((n > 0 && left) || (n < 0 && errno == EINTR));
	return n < 0 ? -1 : 0;
}

/* A temporary name first: no reader sees half a copy, and an open older copy stays whole. */
static int keep_at(int dir, int from, const char *name)
{
	char temporary[NAME_MAX + 1];
	int to, ret;

	snprintf(temporary, sizeof(temporary), ".%.128s.%d", name, getpid());
	to = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -1;
	ret = copy(from, to);
	close(to);
	if (!ret)
		ret = renameat(dir, temporary, dir, name);
	if (ret)
		unlinkat(dir, temporary, 0);
	return ret;
}

void criu_log_keep_in(const char *path, const char *log, char *kept, size_t bytes)
{
	const char *name = strrchr(log, '/');
	int from, dir;

	snprintf(kept, bytes, "%s", log);
	if (!name)
		return;
	mkdir(path, 0700);
	dir = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	from = open(log, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (dir >= 0 && from >= 0 && !keep_at(dir, from, name + 1))
		snprintf(kept, bytes, "%s%s", path, name);
	if (from >= 0)
		close(from);
	if (dir >= 0)
		close(dir);
}

void criu_log_keep(const char *log, char *kept, size_t bytes)
{
	criu_log_keep_in(KEPT_DIR, log, kept, bytes);
}
