// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "source/limits.h"

#define NEEDS_FDS	4		/* CRIU's code opens a socket, and is given files */
#define NEEDS_BYTES	(4UL << 20)	/* CRIU's code and its stacks */

static uint64_t status_bytes(pid_t pid, const char *key)
{
	char path[32], line[128];
	uint64_t kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			kib = strtoull(line + strlen(key), NULL, 10);
	if (file)
		fclose(file);
	return kib * 1024;
}

/* RLIMIT_NOFILE bounds the number of the highest descriptor, not how many are open. */
static uint64_t highest_fd(pid_t pid)
{
	struct dirent *entry;
	uint64_t high = 0;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (strtoull(entry->d_name, NULL, 10) >= high)
			high = strtoull(entry->d_name, NULL, 10) + 1;
	if (dir)
		closedir(dir);
	return high;
}

static bool is_near(pid_t pid, int limit, uint64_t used, uint64_t needs, uint64_t *value)
{
	struct rlimit now;

	if (prlimit(pid, limit, NULL, &now) || now.rlim_cur == RLIM_INFINITY)
		return false;
	*value = now.rlim_cur;
	return used + needs > now.rlim_cur;
}

static void name_limit(struct error *err, pid_t pid, const char *name, const char *option,
		       uint64_t value, uint64_t wanted)
{
	snprintf(err->hint, sizeof(err->hint),
		 "its limit %s of %lu leaves no room for CRIU's code in it: prlimit --pid %d --%s=%lu:",
		 name, value, pid, option, wanted);
}

void limits_explain(pid_t pid, struct error *err)
{
	uint64_t fds = highest_fd(pid), size = status_bytes(pid, "VmSize:");
	uint64_t data = status_bytes(pid, "VmData:"), value;

	if (is_near(pid, RLIMIT_NOFILE, fds, NEEDS_FDS, &value))
		name_limit(err, pid, "RLIMIT_NOFILE", "nofile", value, fds + NEEDS_FDS);
	else if (is_near(pid, RLIMIT_AS, size, NEEDS_BYTES, &value))
		name_limit(err, pid, "RLIMIT_AS", "as", value, size + NEEDS_BYTES);
	else if (is_near(pid, RLIMIT_DATA, data, NEEDS_BYTES, &value))
		name_limit(err, pid, "RLIMIT_DATA", "data", value, data + NEEDS_BYTES);
}
