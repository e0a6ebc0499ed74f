// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include "session/cost.h"

#define COST_DIR	"/var/lib/migrate-helper"

static FILE *cost_open(const char *name, const char *how)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", COST_DIR, name);
	return fopen(path, how);
}

uint64_t cost_read(const char *name)
{
	FILE *file = cost_open(name, "re");
	uint64_t ns = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%" SCNu64, &ns) != 1)
		ns = 0;
	fclose(file);
	return ns;
}

void cost_keep(const char *name, uint64_t ns)
{
	uint64_t old = cost_read(name);
	FILE *file;

	mkdir(COST_DIR, 0755);
	file = cost_open(name, "we");
	if (!file)
		return;
	fprintf(file, "%" PRIu64 "\n", old ? (3 * old + ns) / 4 : ns);
	fclose(file);
}
