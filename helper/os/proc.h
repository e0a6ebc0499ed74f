/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_PROC_H
#define MIGRATE_OS_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * struct proc_status - of /proc/PID/status and stat
 * @state: letter, as 'S', 'T', 'Z'
 * @ns_pid: pid in its own pid namespace
 * @tracer: pid of who traces it, 0
 * @rss_bytes: resident and swapped
 * @tty: device number of its controlling terminal, 0: it has none
 * @kernel: a kernel thread
 * @seccomp: system calls of it are filtered
 */
struct proc_status {
	char comm[32];
	char state;
	pid_t ppid, ns_pid, session, tracer;
	uint32_t threads;
	uint64_t rss_bytes, start_ticks;
	dev_t tty;
	bool kernel, seccomp;
};

int proc_status_read(pid_t pid, struct proc_status *status, struct error *err);

/** proc_children() - number of children of all threads; *@first: one of them */
int proc_children(pid_t pid, size_t *nr, pid_t *first, struct error *err);

/** proc_ns() - inode of namespace @name ("pid", "mnt" ...) of @pid ("self" is 0); 0 on failure */
ino_t proc_ns(pid_t pid, const char *name);

/** proc_is_64bit() - 1: the program is an ELF64 one, 0: it is not, -1 with err: it cannot be read */
int proc_is_64bit(pid_t pid, struct error *err);

/** proc_open_clear_refs() - a descriptor for proc_clear_refs() */
int proc_open_clear_refs(pid_t pid, struct error *err);
/** proc_clear_refs() - end an epoch: clear all soft-dirty bits */
int proc_clear_refs(int fd, struct error *err);

/** typedef proc_task_fn - one thread; -1 ends the walk */
typedef int (*proc_task_fn)(void *ctx, pid_t tid);
int proc_threads(pid_t pid, proc_task_fn fn, void *ctx, struct error *err);

/** proc_mem_available() - MemAvailable in bytes, 0 when it cannot be read */
uint64_t proc_mem_available(void);

/** proc_cpu_flags() - the "flags" line of /proc/cpuinfo, words parted by blanks; free() it */
char *proc_cpu_flags(void);

/** proc_oom_score_adj() - how the kernel values the process when memory is short */
int proc_oom_score_adj(pid_t pid, int *score, struct error *err);
/** proc_set_oom_score_adj() - nothing is written when it is so already */
int proc_set_oom_score_adj(pid_t pid, int score, struct error *err);

/** proc_pidfd() - pidfd of @pid */
int proc_pidfd(pid_t pid, struct error *err);

#endif
