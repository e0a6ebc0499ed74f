// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dest/in_mounts.h"

/* setns() to a mount namespace needs a process with one thread: so fork a child for it. */
static int call_in_child(int mnt_ns, int (*fn)(const void *ctx), const void *ctx)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid)
		_exit(setns(mnt_ns, CLONE_NEWNS) ? errno : fn(ctx));
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (pid < 0)
		return -1;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno ? -1 : 0;
}

int in_mounts(pid_t init, int (*fn)(const void *ctx), const void *ctx)
{
	char path[32];
	int mnt_ns, ret;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", init);
	mnt_ns = open(path, O_RDONLY | O_CLOEXEC);
	if (mnt_ns < 0)
		return -1;
	ret = call_in_child(mnt_ns, fn, ctx);
	close(mnt_ns);
	return ret;
}
