// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include "criu/attach.h"
#include "os/proc.h"

#define SPINS		2000	/* a system call of CRIU is short; then the wait sleeps */
#define SYSCALL_STOP	(SIGTRAP | 0x80)

/* CRIU dies with its tracer, who would not amend the rest of its calls */
#define OPTIONS		(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)

/* Every restored process descends from CRIU, which alone was made outside of the group. */
pid_t criu_attach_find(const struct cgroup *group)
{
	pid_t *pids, criu = 0;
	size_t nr = cgroup_pids(group, &pids);
	uint64_t oldest = UINT64_MAX;

	for (size_t i = 0; i < nr; i++) {
		struct proc_status status;
		bool inside = false;

		if (proc_status_read(pids[i], &status, &(struct error){ 0 }))
			continue;
		for (size_t j = 0; j < nr; j++)
			inside |= pids[j] == status.ppid;
		if (!inside && status.start_ticks < oldest) {
			oldest = status.start_ticks;
			criu = pids[i];
		}
	}
	free(pids);
	return criu;
}

static bool is_cancelled(int cancel_fd)
{
	struct pollfd cancel = { .fd = cancel_fd, .events = POLLIN };

	return poll(&cancel, 1, 0) > 0;
}

/* Return: 0 with the status of the stop; 1 when CRIU has ended, -1 with @err when it does not stop */
static int wait_stop(const struct criu_attach *attach, int *status, struct error *err)
{
	struct timespec tick = { .tv_nsec = 100000 };

	for (int spins = 0;; spins++) {
		pid_t pid;

		if ((!spins || spins >= SPINS) && is_cancelled(attach->cancel_fd))
			return error_set(err, CODE_ABORTED, NULL, "the restore was given up");
		pid = waitpid(attach->criu, status, __WALL | WNOHANG);

		if (pid == attach->criu)
			return WIFSTOPPED(*status) ? 0 : 1;
		if (pid < 0 && errno != EINTR)
			return 1;
		if (spins < SPINS)
			sched_yield();
		else
			nanosleep(&tick, NULL);
	}
}

/* The namespace's init learns of the end of a traced CRIU only after its tracer has. */
static int give_up(const struct criu_attach *attach)
{
	int status;

	kill(attach->criu, SIGKILL);
	while (waitpid(attach->criu, &status, __WALL) == attach->criu && WIFSTOPPED(status))
		;
	return -1;
}

int criu_attach_begin(struct criu_attach *attach, pid_t criu, int cancel_fd, struct error *err)
{
	int status, ret;

	*attach = (struct criu_attach){ .criu = criu, .cancel_fd = cancel_fd };
	if (!criu || ptrace(PTRACE_SEIZE, criu, NULL, OPTIONS) ||
	    ptrace(PTRACE_INTERRUPT, criu, NULL, NULL))
		return error_errno(err, CODE_CRIU, NULL, "cannot trace CRIU (%d)", criu);
	ret = wait_stop(attach, &status, err);
	if (ret < 0)
		return give_up(attach);
	return ret ? error_set(err, CODE_CRIU, NULL, "CRIU has died") : 0;
}

/* A call by which CRIU begins to trace a task, or sets options: with PTRACE_O_EXITKILL too. */
static int amend(struct criu_attach *attach, const struct __ptrace_syscall_info *call,
		 struct error *err)
{
	struct user_regs_struct regs;

	if (call->entry.nr != SYS_ptrace || (call->entry.args[0] != PTRACE_SEIZE &&
					     call->entry.args[0] != PTRACE_SETOPTIONS))
		return 0;
	attach->seized = true;
	if (ptrace(PTRACE_GETREGS, attach->criu, NULL, &regs))
		return error_errno(err, CODE_CRIU, NULL, "cannot read the registers of CRIU");
	regs.r10 |= PTRACE_O_EXITKILL;
	if (ptrace(PTRACE_SETREGS, attach->criu, NULL, &regs))
		return error_errno(err, CODE_CRIU, NULL, "cannot set the registers of CRIU");
	return 0;
}

/* All are seized when CRIU wakes them (futex), or speaks to somebody. */
static bool is_done(const struct criu_attach *attach, const struct __ptrace_syscall_info *call)
{
	return attach->seized && (call->entry.nr == SYS_futex || call->entry.nr == SYS_sendto ||
				  call->entry.nr == SYS_sendmsg);
}

static int syscall_stop(struct criu_attach *attach, bool *done, struct error *err)
{
	struct __ptrace_syscall_info call;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, attach->criu, sizeof(call), &call) < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot see the system calls of CRIU");
	if (call.op != PTRACE_SYSCALL_INFO_ENTRY)
		return 0;
	*done = is_done(attach, &call);
	return amend(attach, &call, err);
}

/* How CRIU goes on after a stop. @signal: what it gets */
static enum __ptrace_request resume_by(int status, int *signal)
{
	int sig = WSTOPSIG(status);

	*signal = 0;
	if (status >> 16 == PTRACE_EVENT_STOP)
		/* somebody stopped CRIU by a signal, and it stays so */
		return sig == SIGTRAP ? PTRACE_SYSCALL : PTRACE_LISTEN;
	if (sig != SYSCALL_STOP)
		*signal = sig;
	return PTRACE_SYSCALL;
}

int criu_attach_run(struct criu_attach *attach, struct error *err)
{
	int status = SIGTRAP << 8 | 0x7f | PTRACE_EVENT_STOP << 16, signal, ret;
	bool done = false;

	while (!done) {
		enum __ptrace_request request = resume_by(status, &signal);

		/* fails when CRIU was killed in its stop: the wait tells */
		ptrace(request, attach->criu, NULL, (long)signal);
		ret = wait_stop(attach, &status, err);
		if (ret)
			return ret < 0 ? give_up(attach) : 0;
		if (WSTOPSIG(status) == SYSCALL_STOP && syscall_stop(attach, &done, err))
			return give_up(attach);
	}
	ptrace(PTRACE_DETACH, attach->criu, NULL, NULL);
	return 0;
}
