// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/attributes.h"

static bool cpus_has(const struct cpus *cpus, unsigned int cpu)
{
	return cpu < CPUS_MAX && cpus->bits[cpu / 8] & 1 << cpu % 8;
}

size_t cpus_bytes(const struct cpus *cpus)
{
	size_t bytes = CPUS_BYTES;

	while (bytes && !cpus->bits[bytes - 1])
		bytes--;
	return bytes;
}

bool cpus_and(struct cpus *both, const struct cpus *a, const struct cpus *b)
{
	for (size_t i = 0; i < CPUS_BYTES; i++)
		both->bits[i] = a->bits[i] & b->bits[i];
	return cpus_bytes(both);
}

int cpus_parse(struct cpus *cpus, const char *list)
{
	memset(cpus, 0, sizeof(*cpus));
	while (*list && *list != '\n') {
		unsigned long first, last;
		char *end;

		first = last = strtoul(list, &end, 10);
		if (end == list)
			return -1;
		list = end;
		if (*list == '-') {
			last = strtoul(list + 1, &end, 10);
			if (end == list + 1)
				return -1;
			list = end;
		}
		if (last >= CPUS_MAX || first > last)
			return -1;
		for (; first <= last; first++)
			cpus->bits[first / 8] |= 1 << first % 8;
		if (*list == ',')
			list++;
	}
	return 0;
}

void cpus_print(const struct cpus *cpus, char *text, size_t size)
{
	unsigned int cpu = 0;
	size_t at = 0;

	*text = 0;
	while (cpu < CPUS_MAX) {
		unsigned int first = cpu;

		while (cpus_has(cpus, cpu))
			cpu++;
		if (cpu == first) {
			cpu++;
			continue;
		}
		if (at + sizeof(",8191-8191...") > size) {
			strcpy(text + at, "...");
			return;
		}
		at += sprintf(text + at, "%s%u", at ? "," : "", first);
		if (cpu - first > 1)
			at += sprintf(text + at, "-%u", cpu - 1);
	}
}

static int cpus_read(struct cpus *cpus, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	int ret = -1;

	/* a cgroup without CPUs of its own has an empty list */
	if (file && getline(&line, &cap, file) > 0 && *line != '\n')
		ret = cpus_parse(cpus, line);
	if (file)
		fclose(file);
	free(line);
	return ret;
}

/* The nearest ancestor with the cpuset controller decides. */
static int cpuset_read(struct cpus *cpus, const char *cgroup)
{
	char dir[PATH_MAX], path[PATH_MAX + 32];

	snprintf(dir, sizeof(dir), "%s", cgroup);
	while (*dir) {
		snprintf(path, sizeof(path), "%s/cpuset.cpus.effective", dir);
		if (!cpus_read(cpus, path))
			return 0;
		*strrchr(dir, '/') = 0;
	}
	return -1;
}

int cpus_available(struct cpus *cpus, const char *cgroup, struct error *err)
{
	static const char online[] = "/sys/devices/system/cpu/online";
	struct cpus cpuset;

	if (cpus_read(cpus, online))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot read %s", online);
	if (!cpuset_read(&cpuset, cgroup))
		cpus_and(cpus, cpus, &cpuset);
	return 0;
}
