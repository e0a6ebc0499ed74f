/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System calls in the threads of another process that stands. Some attributes of a thread can
 * be set by the thread alone: no_new_privs, interval timers.
 *
 * The threads are held by ptrace. No instruction of the program itself runs: a thread executes
 * one system call instruction of its vdso, with its signals blocked and its seccomp filters
 * suspended, and gets its registers back.
 */
#ifndef MIGRATE_OS_REMOTE_H
#define MIGRATE_OS_REMOTE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * struct remote - a process whose threads are held; ptrace ties it to the calling thread
 * @syscall_at: address of a system call instruction
 * @tids: threads that are seized, as seen here
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
 * @data: bytes that the call reads, or NULL. They are put into the page of the thread's stack
 *	pointer for the time of the call
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
 * The threads must stand: stopped by a signal, or frozen. Who froze them thaws them between
 * remote_seize() and remote_wait(), and freezes them again before remote_release(): a frozen
 * thread traps when it thaws, without an instruction of the program in between.
 *
 * A thread that is still held when the caller ends is killed: it might run otherwise.
 * Return: 0, or -1 with @err; some threads may be held then, so the process is of no use
 */
int remote_seize(struct remote *remote, pid_t pid, struct error *err);
/** remote_wait() - until each thread has trapped */
int remote_wait(struct remote *remote, struct error *err);
/**
 * remote_call() - let thread @tid make one system call
 * @result: what the call returned, -errno on its failure
 * Return: 0 when the call was made, -1 with @err when it could not be
 */
int remote_call(struct remote *remote, pid_t tid, const struct remote_call *call, long *result,
		struct error *err);
/** remote_release() - let go; the threads stand as they stood before */
void remote_release(struct remote *remote);

#endif
