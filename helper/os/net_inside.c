// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "os/net_inside.h"

int net_inside(pid_t pid, int (*fn)(void *ctx), void *ctx)
{
	int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), there, ret = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	there = open(path, O_RDONLY | O_CLOEXEC);
	if (home >= 0 && there >= 0 && !setns(there, CLONE_NEWNET)) {
		ret = fn(ctx);
		/* this thread would make all later sockets in the program's network */
		if (setns(home, CLONE_NEWNET))
			abort();
	}
	if (home >= 0)
		close(home);
	if (there >= 0)
		close(there);
	return ret;
}
