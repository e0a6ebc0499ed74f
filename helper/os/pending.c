// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "os/pending.h"
#include "os/proc.h"

/**
 * struct walk - a walk over the threads of @pid
 * @mask: signals found so far
 * @failed: errno, when a thread that lives could not be read
 */
struct walk {
	pid_t pid;
	uint64_t mask;
	int failed;
};

static void take_mask(struct walk *walk, const char *text, const char *name)
{
	const char *line = strstr(text, name);

	if (line)
		walk->mask |= strtoull(line + strlen(name), NULL, 16);
}

static int read_thread(void *ctx, pid_t tid)
{
	struct walk *walk = ctx;
	char name[32], *text;

	snprintf(name, sizeof(name), "task/%d/status", tid);
	text = proc_text(walk->pid, name);
	if (!text && !proc_is_gone(errno))
		walk->failed = errno;
	if (!text)
		return 0;
	/* the name of a program, in the first line, has no line break */
	take_mask(walk, text, "\nSigPnd:");
	take_mask(walk, text, "\nShdPnd:");
	free(text);
	return 0;
}

int pending_read(pid_t pid, uint64_t *mask, struct error *err)
{
	struct walk walk = { .pid = pid };

	if (proc_threads(pid, read_thread, &walk, err))
		return -1;
	*mask = walk.mask;
	errno = walk.failed;
	return !walk.failed ? 0 :
	       error_errno(err, CODE_INTERNAL, NULL, "cannot read the pending signals of process %d",
			   pid);
}

bool pending_has(uint64_t mask, int sig)
{
	return mask & 1ULL << (sig - 1);
}

int pending_fault(uint64_t mask, uint64_t before)
{
	static const int faults[] = {
		SIGKILL, SIGXFSZ, SIGXCPU, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS,
		SIGABRT, SIGPIPE, SIGCONT,
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		if (pending_has(mask & ~before, faults[i]))
			return faults[i];
	return 0;
}
