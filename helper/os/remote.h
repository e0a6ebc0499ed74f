/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes system calls in the threads of another, stopped process. Only the thread itself can set
 * some of its attributes: no_new_privs, interval timers.
 *
 * ptrace holds the threads. No instruction of the program itself runs: a thread executes one system
 * call instruction of its vdso, with its signals blocked and its seccomp filters suspended, and
 * gets its registers back.
 */
#ifndef MIGRATE_OS_REMOTE_H
#define MIGRATE_OS_REMOTE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * struct remote - a process whose threads ptrace holds; only the thread that seized them may use it
 * @syscall_at: address of a system call instruction in the process; 0 before the first call
 * @tids: the seized threads, in the caller's PID namespace
 */
struct remote {
	pid_t pid;
	uint64_t syscall_at;
	pid_t *tids;
	size_t nr;
};

/**
 * struct remote_call - one system call
 * @nr: its number
 * @args: its arguments
 * @data: bytes that the call reads, or NULL. For the time of the call the bytes are in the page of
 *	the thread's stack pointer
 * @bytes: at most REMOTE_DATA_MAX
 * @data_arg: the argument that becomes the address of @data
 */
struct remote_call {
	long nr;
	uint64_t args[6];
	const void *data;
	size_t bytes;
	int data_arg;
};

#define REMOTE_DATA_MAX	64

/**
 * remote_seize() - seize all threads of @pid and ask them to trap
 *
 * The threads must be stopped by a signal, or frozen. The caller thaws frozen threads between
 * remote_seize() and remote_wait(), and freezes them again before remote_release(): a thread that
 * thaws traps before it executes an instruction of the program.
 *
 * The kernel kills held threads when the caller ends, so that they never run.
 * Return: 0, or -1 with @err; some threads may be held then, and the process must be given up
 */
int remote_seize(struct remote *remote, pid_t pid, struct error *err);
/** remote_wait() - wait until each thread has trapped */
int remote_wait(struct remote *remote, struct error *err);
/**
 * remote_call() - let thread @tid make one system call
 * @result: return value of the system call, -errno when it failed
 * Return: 0 when the thread made the call, else -1 with @err
 */
int remote_call(struct remote *remote, pid_t tid, const struct remote_call *call, long *result,
		struct error *err);
/**
 * remote_reap() - the process was killed: wait for the end of each thread, 10 s at most
 *
 * A tracer cannot detach from a thread that is dying, and a dead one stays with its tracer: until the tracer
 * has waited for it, its parent is not told that the process has ended.
 */
void remote_reap(struct remote *remote);
/** remote_release() - detach; the threads are stopped or frozen as before remote_seize() */
void remote_release(struct remote *remote);

#endif
