// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/ns_pids.h"
#include "os/proc.h"

bool ns_pids_parse(const char *line, const char *key, struct ns_pids *pids)
{
	struct ns_pids read = { 0 };
	size_t len = strlen(key), nr = 0;
	const char *at = line + len;

	if (strncmp(line, key, len))
		return false;
	for (char *end; ; at = end) {
		long number = strtol(at, &end, 10);

		if (end == at)
			break;
		if (!nr++)
			read.outer = number;
		read.inner = number;
	}
	if (!nr)
		return false;
	read.depth = nr - 1;
	*pids = read;
	return true;
}

/** struct search - a walk over the threads of @pid; @found: the one with the inner number @inner */
struct search {
	pid_t pid, inner, found;
};

static int look_at_thread(void *ctx, pid_t tid)
{
	struct search *search = ctx;
	struct ns_pids pids = { 0 };
	char path[48], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", search->pid, tid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (ns_pids_parse(line, "NSpid:", &pids))
			break;
	if (file)
		fclose(file);
	if (pids.inner == search->inner)
		search->found = tid;
	return search->found ? -1 : 0;
}

pid_t ns_pids_outer(pid_t pid, pid_t inner)
{
	struct search search = { .pid = pid, .inner = inner };
	struct error ignored = { 0 };

	proc_threads(pid, look_at_thread, &search, &ignored);
	return search.found;
}
