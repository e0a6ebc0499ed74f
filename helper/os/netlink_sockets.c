// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include "os/netlink_sockets.h"

int netlink_sockets_unread(pid_t pid, unsigned long **inodes, size_t *nr, struct error *err)
{
	unsigned long *more, inode;
	char path[40], line[256];
	unsigned int unread;
	FILE *file;
	int ret = 0;

	*inodes = NULL;
	*nr = 0;
	snprintf(path, sizeof(path), "/proc/%d/net/netlink", pid);
	file = fopen(path, "re");
	while (!ret && file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*x %*d %*d %*x %u %*d %*d %*d %*d %lu", &unread, &inode) != 2 ||
		    !unread)
			continue;
		more = reallocarray(*inodes, *nr + 1, sizeof(*more));
		if (more) {
			*inodes = more;
			more[(*nr)++] = inode;
		} else {
			ret = error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of sockets");
		}
	}
	if (file)
		fclose(file);
	return ret;
}
