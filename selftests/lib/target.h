/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The task under test: a child that only executes commands. The child is a fork of the test
 * program, so the address of a function is a command.
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
 * @pid: pid of the target
 * @ctl: the present command
 * @shared: memory shared with the target, for the test's own use
 * @request: pipe that announces a command
 * @reply: pipe that announces its end
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
/* Kills and reaps the target. */
void target_stop(struct target *t);
/* Sends SIGSTOP, and waits until the target has stopped; target_thaw() sends SIGCONT. */
void target_freeze(struct target *t);
void target_thaw(struct target *t);

/* Runs @fn(args) in the target. Return: what it returned */
long target_call(struct target *t, target_fn fn, const unsigned long *args);
#define target_do(t, fn, ...) \
	target_call(t, fn, (const unsigned long[6]) { __VA_ARGS__ })

/* target_call() without an answer, for a function that ends the target. */
void target_post(struct target *t, target_fn fn, const unsigned long *args);

/* Makes a system call in the target. Return: value or -errno */
long target_syscall(struct target *t, long nr, const unsigned long *args);
#define target_sys(t, nr, ...) \
	target_syscall(t, nr, (const unsigned long[6]) { __VA_ARGS__ })

/* Maps private anonymous memory, aligned to 2 MiB; @advice is a MADV_* or 0. */
unsigned long target_map(struct target *t, size_t len, int advice);
/* Writes the pattern of @seed into the memory; @seed 0 only reads the memory. */
void target_fill(struct target *t, unsigned long addr, size_t len,
		 unsigned long seed);
void target_madvise(struct target *t, unsigned long addr, size_t len,
		    int advice);
/* Waits until every page has gone to swap. */
void target_page_out(struct target *t, unsigned long addr, size_t len);
/* Forks a child of the target, which writes a word at @addr and ends. */
void target_fork_write(struct target *t, unsigned long addr);
/* Makes the target open a userfaultfd for missing pages. Return: the descriptor in the target */
long target_uffd(struct target *t, unsigned long addr, size_t len);

/* Return: the word that target_fill() writes at @addr, a multiple of 8 */
unsigned long pattern_word(unsigned long addr, unsigned long seed);
void pattern_fill(void *mem, unsigned long addr, size_t len,
		  unsigned long seed);
bool pattern_is(const void *mem, unsigned long addr, size_t len,
		unsigned long seed);

#endif
