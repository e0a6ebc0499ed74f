// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>
#include "os/ns_pids.h"

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
