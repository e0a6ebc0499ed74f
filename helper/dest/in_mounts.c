// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dest/in_mounts.h"
#include "os/fds.h"

#define TIMEOUT_MS	10000

/** struct work - what the child is to do; @before: or NULL; @fds: what it has, with two places behind */
struct work {
	int (*before)(const void *ctx), (*fn)(const void *ctx);
	const void *ctx;
	int *fds;
	size_t nr_fds;
};

static int do_work(const struct work *work, int mnt_ns)
{
	int ret = work->before ? work->before(work->ctx) : 0;

	if (ret)
		return ret;
	return setns(mnt_ns, CLONE_NEWNS) ? errno : work->fn(work->ctx);
}

/* The child may never end, and must then hold nothing of this migration. */
static void __attribute__((noreturn)) child_main(int mnt_ns, int answer_fd, const struct work *work)
{
	int answer;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	work->fds[work->nr_fds] = mnt_ns;
	work->fds[work->nr_fds + 1] = answer_fd;
	fds_close_others(work->fds, work->nr_fds + 2);
	answer = do_work(work, mnt_ns);
	_exit(write(answer_fd, &answer, sizeof(answer)) != sizeof(answer));
}

/* setns() to a mount namespace needs a process with one thread: so fork a child for it. */
static int call_in_child(int mnt_ns, const struct work *work)
{
	struct pollfd pfd = { .events = POLLIN };
	int pair[2], answer = ETIMEDOUT, ready = 0;
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid)
		child_main(mnt_ns, pair[1], work);
	close(pair[1]);
	pfd.fd = pair[0];
	while (pid > 0 && (ready = poll(&pfd, 1, TIMEOUT_MS)) < 0 && errno == EINTR)
		;
	if (ready > 0 && read(pair[0], &answer, sizeof(answer)) != sizeof(answer))
		answer = EINTR;
	close(pair[0]);
	if (pid < 0)
		return -1;
	/* one that waits for a file system without server ends when that answers, and init reaps it */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, answer == ETIMEDOUT ? WNOHANG : 0);
	errno = answer;
	return answer ? -1 : 0;
}

int in_mounts_from(pid_t init, int (*before)(const void *ctx), int (*fn)(const void *ctx), const void *ctx,
		   const int *fds, size_t nr_fds)
{
	const struct work work = {
		.before = before, .fn = fn, .ctx = ctx, .fds = calloc(nr_fds + 2, sizeof(int)), .nr_fds = nr_fds,
	};
	int mnt_ns = -1, ret = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", init);
	if (work.fds)
		mnt_ns = open(path, O_RDONLY | O_CLOEXEC);
	if (mnt_ns >= 0) {
		if (nr_fds)
			memcpy(work.fds, fds, nr_fds * sizeof(int));
		ret = call_in_child(mnt_ns, &work);
		close(mnt_ns);
	}
	free(work.fds);
	return ret;
}

int in_mounts(pid_t init, int (*fn)(const void *ctx), const void *ctx)
{
	return in_mounts_from(init, NULL, fn, ctx, NULL, 0);
}
