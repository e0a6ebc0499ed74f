/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The task under test: a child that does what it is told and nothing else. It is a
 * fork of the test program, so a function's address is a command.
 */
#ifndef SPLICE_VM_SELFTESTS_TARGET_H
#define SPLICE_VM_SELFTESTS_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct target_ctl;

#define TARGET_SHARED	4096

/**
 * struct target - a target
 * @pid: of it
 * @ctl: commands
 * @shared: memory that is shared with it, for the test's own use
 * @request: commands are waiting
 * @reply: they were done
 */
struct target {
	pid_t pid;
	struct target_ctl *ctl;
	void *shared;
	int request;
	int reply;
};

typedef long (*target_fn)(const unsigned long *args);

void target_start(struct target *t);
/* Kills and reaps. */
void target_stop(struct target *t);
/* SIGSTOP, and wait until it stands; SIGCONT. */
void target_freeze(struct target *t);
void target_thaw(struct target *t);

/* Runs @fn(args) in the target. Return: what it returned */
long target_call(struct target *t, target_fn fn, const unsigned long *args);
#define target_do(t, fn, ...) \
	target_call(t, fn, (const unsigned long[6]) { __VA_ARGS__ })

/* The same without an answer: for what ends the target. */
void target_post(struct target *t, target_fn fn, const unsigned long *args);

/* A system call of the target. Return: value or -errno */
long target_syscall(struct target *t, long nr, const unsigned long *args);
#define target_sys(t, nr, ...) \
	target_syscall(t, nr, (const unsigned long[6]) { __VA_ARGS__ })

/* Private anonymous memory, aligned to 2 MiB; @advice is a MADV_* or 0. */
unsigned long target_map(struct target *t, size_t len, int advice);
/* Pattern of @seed into the memory; @seed 0 only reads it. */
void target_fill(struct target *t, unsigned long addr, size_t len,
		 unsigned long seed);
void target_madvise(struct target *t, unsigned long addr, size_t len,
		    int advice);
/* Until every page has gone to swap. */
void target_page_out(struct target *t, unsigned long addr, size_t len);
/* A child of it writes a word there, and ends. */
void target_fork_write(struct target *t, unsigned long addr);
/* A userfaultfd of the target's own, for missing pages. Return: its descriptor there */
long target_uffd(struct target *t, unsigned long addr, size_t len);

/* What target_fill() writes to @addr, multiple of 8. */
unsigned long pattern_word(unsigned long addr, unsigned long seed);
void pattern_fill(void *mem, unsigned long addr, size_t len,
		  unsigned long seed);
bool pattern_is(const void *mem, unsigned long addr, size_t len,
		unsigned long seed);

#endif
