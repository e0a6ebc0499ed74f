// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "os/proc.h"
#include "os/remote.h"

#define IN_PAGE		4095UL
#define VDSO_BYTES_MAX	65536
#define WAIT_TIMEOUT_MS	30000
#define REAP_TIMEOUT_MS	10000
#define SYSCALL_STOP	(SIGTRAP | 0x80)
#define KERNEL_SIGSET	8	/* bytes */

/* EXITKILL: when the caller dies, a frozen thread must not run */
#define OPTIONS		(PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP | PTRACE_O_EXITKILL)

/* A thread that makes a system call for the caller, and the state to give back to the thread. */
struct borrowed {
	pid_t tid;
	struct user_regs_struct regs;
	uint64_t sigmask;
	uint64_t data_at;
	size_t bytes;
	uint8_t data[REMOTE_DATA_MAX];
};

/* A page of a restored stack may be missing: /proc/PID/mem fails there, this call faults it in. */
static bool memory_is_read(pid_t pid, uint64_t addr, void *data, size_t bytes)
{
	struct iovec here = { data, bytes }, there = { (void *)addr, bytes };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)bytes;
}

static bool memory_is_written(pid_t pid, uint64_t addr, const void *data, size_t bytes)
{
	struct iovec here = { (void *)data, bytes }, there = { (void *)addr, bytes };

	return process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t)bytes;
}

static int find_vdso(pid_t pid, uint64_t *start, uint64_t *end, struct error *err)
{
	char path[32], line[512];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, "[vdso]\n") &&
			sscanf(line, "%" SCNx64 "-%" SCNx64, start, end) == 2;
	if (file)
		fclose(file);
	if (!found || *end - *start > VDSO_BYTES_MAX)
		return error_set(err, CODE_TARGET, NULL, "process %d has no vdso", pid);
	return 0;
}

static int find_syscall(struct remote *remote, struct error *err)
{
	static const uint8_t syscall_code[] = { 0x0f, 0x05 };
	uint8_t *code = malloc(VDSO_BYTES_MAX), *at = NULL;
	uint64_t start, end;

	if (code && !find_vdso(remote->pid, &start, &end, err) &&
	    memory_is_read(remote->pid, start, code, end - start))
		at = memmem(code, end - start, syscall_code, sizeof(syscall_code));
	if (at)
		remote->syscall_at = start + (at - code);
	free(code);
	return at ? 0 : error_set(err, CODE_TARGET, NULL,
				  "the vdso of process %d has no system call instruction",
				  remote->pid);
}

static int seize_thread(void *ctx, pid_t tid)
{
	struct remote *remote = ctx;
	pid_t *tids = realloc(remote->tids, (remote->nr + 1) * sizeof(*tids));

	if (!tids)
		return -1;
	remote->tids = tids;
	if (ptrace(PTRACE_SEIZE, tid, NULL, OPTIONS))
		return -1;
	remote->tids[remote->nr++] = tid;
	return ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
}

int remote_seize(struct remote *remote, pid_t pid, struct error *err)
{
	memset(remote, 0, sizeof(*remote));
	remote->pid = pid;
	errno = 0;
	if (proc_threads(pid, seize_thread, remote, err)) {
		error_errno(err, CODE_TARGET, NULL, "cannot trace the threads of process %d", pid);
		remote_release(remote);
		return -1;
	}
	return 0;
}

/* Return: the stop's status, or -1 with @err */
static int wait_stop(pid_t tid, struct error *err)
{
	struct timespec tick = { .tv_nsec = 1000000 };
	int status;

	for (int ms = 0; ms < WAIT_TIMEOUT_MS; ms++) {
		pid_t pid = waitpid(tid, &status, __WALL | WNOHANG);

		if (pid == tid && WIFSTOPPED(status))
			return status;
		if (pid == tid || (pid < 0 && errno != EINTR))
			return error_set(err, CODE_TARGET, NULL, "thread %d has ended", tid);
		nanosleep(&tick, NULL);
	}
	return error_set(err, CODE_TARGET, NULL, "thread %d does not stop within %d s", tid,
			 WAIT_TIMEOUT_MS / 1000);
}

int remote_wait(struct remote *remote, struct error *err)
{
	for (size_t i = 0; i < remote->nr; i++)
		if (wait_stop(remote->tids[i], err) < 0)
			return -1;
	return 0;
}

/* PTRACE_INTERRUPT and a group stop can trap once more before the system call does. */
static int run_to_syscall_stop(pid_t tid, struct error *err)
{
	int status;

	do {
		if (ptrace(PTRACE_SYSCALL, tid, NULL, NULL))
			return error_errno(err, CODE_TARGET, NULL, "cannot resume thread %d", tid);
		status = wait_stop(tid, err);
		if (status < 0)
			return -1;
		if (WSTOPSIG(status) != SYSCALL_STOP && status >> 16 != PTRACE_EVENT_STOP)
			return error_set(err, CODE_TARGET, NULL,
					 "thread %d got signal %d on its way", tid,
					 WSTOPSIG(status));
	} while (WSTOPSIG(status) != SYSCALL_STOP);
	return 0;
}

static int put_data(struct remote *remote, struct borrowed *thread,
		    const struct remote_call *call, struct error *err)
{
	thread->bytes = call->bytes;
	thread->data_at = thread->regs.rsp & ~IN_PAGE;
	if (!memory_is_read(remote->pid, thread->data_at, thread->data, call->bytes) ||
	    !memory_is_written(remote->pid, thread->data_at, call->data, call->bytes)) {
		thread->bytes = 0;
		return error_errno(err, CODE_TARGET, NULL, "cannot write to the stack of thread %d",
				   thread->tid);
	}
	return 0;
}

static int borrow(struct remote *remote, struct borrowed *thread, const struct remote_call *call,
		  struct error *err)
{
	uint64_t all = ~0UL;

	if (ptrace(PTRACE_GETREGS, thread->tid, NULL, &thread->regs) ||
	    ptrace(PTRACE_GETSIGMASK, thread->tid, KERNEL_SIGSET, &thread->sigmask))
		return error_errno(err, CODE_TARGET, NULL, "cannot read the registers of thread %d",
				   thread->tid);
	if (call->bytes && put_data(remote, thread, call, err))
		return -1;
	if (ptrace(PTRACE_SETSIGMASK, thread->tid, KERNEL_SIGSET, &all))
		return error_errno(err, CODE_TARGET, NULL, "cannot block the signals of thread %d",
				   thread->tid);
	return 0;
}

static int give_back(struct remote *remote, struct borrowed *thread, struct error *err)
{
	int ret = 0;

	if (thread->bytes &&
	    !memory_is_written(remote->pid, thread->data_at, thread->data, thread->bytes))
		ret = error_errno(err, CODE_TARGET, NULL, "cannot restore the stack of thread %d",
				  thread->tid);
	if (ptrace(PTRACE_SETREGS, thread->tid, NULL, &thread->regs) ||
	    ptrace(PTRACE_SETSIGMASK, thread->tid, KERNEL_SIGSET, &thread->sigmask))
		ret = error_errno(err, CODE_TARGET, NULL,
				  "cannot restore the registers of thread %d", thread->tid);
	return ret;
}

static int make_call(const struct remote *remote, const struct borrowed *thread,
		     const struct remote_call *call, long *result, struct error *err)
{
	struct user_regs_struct regs = thread->regs;
	uint64_t args[6];

	memcpy(args, call->args, sizeof(args));
	if (call->bytes)
		args[call->data_arg] = thread->data_at;
	regs.rip = remote->syscall_at;
	regs.rax = call->nr;
	/* otherwise the kernel could restart the system call that the thread was in */
	regs.orig_rax = -1UL;
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5];
	if (ptrace(PTRACE_SETREGS, thread->tid, NULL, &regs))
		return error_errno(err, CODE_TARGET, NULL, "cannot set the registers of thread %d",
				   thread->tid);
	if (run_to_syscall_stop(thread->tid, err) || run_to_syscall_stop(thread->tid, err))
		return -1;
	if (ptrace(PTRACE_GETREGS, thread->tid, NULL, &regs))
		return error_errno(err, CODE_TARGET, NULL, "cannot read the registers of thread %d",
				   thread->tid);
	*result = regs.rax;
	return 0;
}

int remote_call(struct remote *remote, pid_t tid, const struct remote_call *call, long *result,
		struct error *err)
{
	struct borrowed thread = { .tid = tid };
	int ret;

	if (call->bytes > sizeof(thread.data))
		return error_set(err, CODE_INTERNAL, NULL, "too much data for a system call");
	/* only now: a process may have given its vdso up, and most make no call */
	if (!remote->syscall_at && find_syscall(remote, err))
		return -1;
	if (borrow(remote, &thread, call, err))
		return -1;
	ret = make_call(remote, &thread, call, result, err);
	return give_back(remote, &thread, err) ? -1 : ret;
}

/* Return: true when thread @tid is dead, and not the tracer's any more */
static bool is_reaped(pid_t tid)
{
	int status;
	pid_t pid = waitpid(tid, &status, __WALL | WNOHANG);

	return pid == tid ? !WIFSTOPPED(status) : pid < 0 && errno == ECHILD;
}

void remote_reap(struct remote *remote)
{
	const struct timespec tick = { .tv_nsec = 1000000 };

	/* the first thread can be waited for when all others are dead */
	for (int ms = 0; remote->nr && ms < REAP_TIMEOUT_MS; ms++) {
		size_t left = 0;

		for (size_t i = 0; i < remote->nr; i++)
			if (!is_reaped(remote->tids[i]))
				remote->tids[left++] = remote->tids[i];
		remote->nr = left;
		if (left)
			nanosleep(&tick, NULL);
	}
}

void remote_release(struct remote *remote)
{
	for (size_t i = 0; i < remote->nr; i++)
		ptrace(PTRACE_DETACH, remote->tids[i], NULL, NULL);
	free(remote->tids);
	memset(remote, 0, sizeof(*remote));
}
