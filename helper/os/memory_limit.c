// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/cgroup.h"
#include "os/memory_limit.h"

#define PATH_BYTES	(PATH_MAX + 64)

/* Return: 0 with the number in the file; -1: no number, as in "max" */
static int read_number(const char *dir, const char *name, uint64_t *value)
{
	char path[PATH_BYTES];
	FILE *file;
	int ret;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "re");
	ret = file && fscanf(file, "%" SCNu64, value) == 1 ? 0 : -1;
	if (file)
		fclose(file);
	return ret;
}

static uint64_t read_stat(const char *dir, const char *wanted)
{
	char path[PATH_BYTES], key[64];
	uint64_t value, found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/memory.stat", dir);
	file = fopen(path, "re");
	while (file && !found && fscanf(file, "%63s %" SCNu64, key, &value) == 2)
		if (!strcmp(key, wanted))
			found = value;
	if (file)
		fclose(file);
	return found;
}

/* Return: bytes of page cache that the kernel gives up before it kills a process */
static uint64_t read_cache(const char *dir, bool v2)
{
	uint64_t files = read_stat(dir, v2 ? "file" : "total_cache");
	uint64_t kept = read_stat(dir, v2 ? "shmem" : "total_shmem");

	return files > kept ? files - kept : 0;
}

uint64_t memory_limit_at(const char *dir)
{
	uint64_t limit, used, cache;
	bool v2 = !read_number(dir, "memory.current", &used);

	if (read_number(dir, v2 ? "memory.max" : "memory.limit_in_bytes", &limit) ||
	    (!v2 && read_number(dir, "memory.usage_in_bytes", &used)))
		return UINT64_MAX;
	/* v1 shows "no limit" as a number beyond any machine's memory */
	if (limit > UINT64_MAX / 4)
		return UINT64_MAX;
	cache = read_cache(dir, v2);
	used -= cache < used ? cache : used;
	return limit > used ? limit - used : 0;
}

uint64_t memory_limit_room(char *group, size_t size)
{
	static const enum cgroup_kind kinds[] = { CGROUP_V2, CGROUP_V1_MEMORY };
	char dir[PATH_MAX], point[PATH_MAX];
	uint64_t least = UINT64_MAX, room;

	*group = 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (cgroup_dir(0, kinds[i], dir, sizeof(dir), point, sizeof(point)))
			continue;
		/* the limits of all ancestors hold too */
		while (strlen(dir) >= strlen(point)) {
			room = memory_limit_at(dir);
			if (room < least) {
				least = room;
				snprintf(group, size, "%s", dir);
			}
			if (!strrchr(dir, '/'))
				break;
			*strrchr(dir, '/') = 0;
		}
	}
	return least;
}
