/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_PROC_H
#define MIGRATE_OS_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/* A text of /proc comes in pieces of a page at most; the C library asks for less. */
#define PROC_TEXT_BYTES	4096

/**
 * proc_text() - all of /proc/@pid/@name, closed with a 0; free() it. @pid 0: of this process
 *
 * Of texts that are one record (stat, status, cgroup) or that have short ones (children).
 * Return: NULL with errno
 */
char *proc_text(pid_t pid, const char *name);

/**
 * struct proc_status - one process, from /proc/PID/status and stat
 * @state: letter, as 'S', 'T', 'Z'
 * @ns_pid: pid in its own pid namespace (os/ns_pids.h)
 * @ns_session: its session there; 0: the session was made outside of that namespace
 * @tracer: pid of the tracer; 0: none
 * @rss_bytes: resident and swapped memory
 * @own_bytes: of it, private pages that no file has
 * @shmem_bytes: of it, resident pages of shared memory, which other processes may have too
 * @tty: device number of the controlling terminal; 0: none
 * @kernel: the process is a kernel thread
 * @exiting: its first thread ends, or has ended
 * @seccomp: the process has a seccomp filter
 */
struct proc_status {
	char comm[32];
	char state;
	pid_t ppid, ns_pid, session, ns_session, tracer;
	uint32_t threads;
	uint64_t rss_bytes, own_bytes, shmem_bytes, start_ticks;
	dev_t tty;
	bool kernel, exiting, seccomp;
};

/**
 * proc_status_read() - fill @status
 * @err: CODE_TARGET: the process has ended; any other code: /proc could not be read
 */
int proc_status_read(pid_t pid, struct proc_status *status, struct error *err);
/**
 * proc_stat_read() - as proc_status_read(), from /proc/PID/stat alone, which takes a third of the time
 * @status: @comm, @state, @ppid, @session, @threads, @start_ticks, @tty, @kernel and @exiting; all else is 0
 */
int proc_stat_read(pid_t pid, struct proc_status *status, struct error *err);
/**
 * proc_status_alone() - as proc_status_read(), from /proc/PID/status alone, which takes half of the time
 * @status: @state, @ns_pid, @ns_session, @tracer, @rss_bytes, @own_bytes, @shmem_bytes and @seccomp; all else is 0
 *
 * A process that has exited and waits for its parent is read, too: @state tells.
 */
int proc_status_alone(pid_t pid, struct proc_status *status, struct error *err);

/** proc_is_gone() - @error of a file in /proc/PID says that the process, or the thread, has ended */
bool proc_is_gone(int error);

/** proc_is_short() - @error says that the caller lacks descriptors or memory to read /proc */
bool proc_is_short(int error);

/** proc_ns() - inode of namespace @name ("pid", "mnt" ...) of @pid ("self" is 0); 0 on failure */
ino_t proc_ns(pid_t pid, const char *name);

/** proc_is_64bit() - 1: an ELF64 program, 0: another one, -1 with @err: not readable */
int proc_is_64bit(pid_t pid, struct error *err);

/** proc_open_clear_refs() - open /proc/PID/clear_refs for proc_clear_refs() */
int proc_open_clear_refs(pid_t pid, struct error *err);
/** proc_clear_refs() - clear all soft-dirty bits, which ends an epoch of the soft-dirty tracker */
int proc_clear_refs(int fd, struct error *err);

/** typedef proc_task_fn - one thread; -1 ends the walk */
typedef int (*proc_task_fn)(void *ctx, pid_t tid);
int proc_threads(pid_t pid, proc_task_fn fn, void *ctx, struct error *err);

/** proc_mem_available() - MemAvailable in bytes, 0 when it cannot be read */
uint64_t proc_mem_available(void);

/** proc_cpu_flags() - the "flags" line of /proc/cpuinfo, words parted by blanks; free() it */
char *proc_cpu_flags(void);

/** proc_oom_score_adj() - read /proc/PID/oom_score_adj */
int proc_oom_score_adj(pid_t pid, int *score, struct error *err);
/** proc_set_oom_score_adj() - write the score, unless the process has it already */
int proc_set_oom_score_adj(pid_t pid, int score, struct error *err);

/** proc_pidfd() - open a pidfd of @pid; -1 with @err */
int proc_pidfd(pid_t pid, struct error *err);

#endif
