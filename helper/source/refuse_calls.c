// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "kernel/proc.h"
#include "source/outgoing.h"

/**
 * struct waiting_call - a system call that a thread in it comes out of with EINTR
 * @timeout_at: only when this argument is not NULL; -1: always
 *
 * The kernel would resume the first ones by restart_syscall(), which CRIU cannot; the others
 * end with EINTR whenever a thread is stopped, as by SIGSTOP (signal(7)).
 */
struct waiting_call {
	long nr;
	const char *name;
	int timeout_at;
};

static const struct waiting_call calls[] = {
	{ SYS_nanosleep, "nanosleep", -1 }, { SYS_clock_nanosleep, "clock_nanosleep", -1 },
	{ SYS_poll, "poll", -1 }, { SYS_futex, "futex", 3 },
	{ SYS_epoll_wait, "epoll_wait", -1 }, { SYS_epoll_pwait, "epoll_pwait", -1 },
	{ SYS_epoll_pwait2, "epoll_pwait2", -1 }, { SYS_semop, "semop", -1 },
	{ SYS_semtimedop, "semtimedop", -1 }, { SYS_rt_sigtimedwait, "sigtimedwait", -1 },
	{ SYS_io_getevents, "io_getevents", -1 }, { SYS_restart_syscall, "a restarted call", -1 },
};

#define CALLS	(sizeof(calls) / sizeof(*calls))

/** struct call_count - threads of one process in each of @calls */
struct call_count {
	pid_t pid;
	size_t threads[CALLS];
};

static int count_thread(void *ctx, pid_t tid)
{
	struct call_count *count = ctx;
	unsigned long args[6] = { 0 };
	char path[64], line[256] = "";
	FILE *file;
	long nr;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", count->pid, tid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	/* "running" does not begin with a number */
	if (fgets(line, sizeof(line), file) &&
	    sscanf(line, "%ld %lx %lx %lx %lx %lx %lx", &nr, &args[0], &args[1], &args[2],
		   &args[3], &args[4], &args[5]) == 7)
		for (size_t i = 0; i < CALLS; i++)
			if (calls[i].nr == nr &&
			    (calls[i].timeout_at < 0 || args[calls[i].timeout_at]))
				count->threads[i]++;
	fclose(file);
	return 0;
}

void outgoing_note_calls(struct outgoing *out)
{
	struct call_count count = { .pid = out->opts->pid };
	struct error ignored = { 0 };

	proc_threads(out->opts->pid, count_thread, &count, &ignored);
	for (size_t i = 0; i < CALLS; i++)
		if (count.threads[i])
			losses_add(&out->losses, LOSS_INTERRUPTED_CALL, "%s, %zu threads",
				   calls[i].name, count.threads[i]);
}
