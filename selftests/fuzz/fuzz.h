/* SPDX-License-Identifier: GPL-2.0 */
/* Random calls of several threads on targets that change their mappings at random. */
#ifndef SPLICE_VM_SELFTESTS_FUZZ_H
#define SPLICE_VM_SELFTESTS_FUZZ_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define FUZZ_TARGETS	3
#define FUZZ_OPS_MAX	48
/* What targets change, and so does the fuzzer itself: it is a target, too. */
#define FUZZ_ARENA	0x10000000000UL
#define FUZZ_ARENA_LEN	(48UL << 20)

/**
 * struct fuzz_count - how often an operation was done
 * @done: with success
 * @failed: with an errno that it may have
 */
struct fuzz_count {
	unsigned long done;
	unsigned long failed;
};

/**
 * struct fuzz_shared - shared by all processes
 * @pids: targets; 0 where one is about to be started
 * @calls: of the operations of fuzz_calls.c
 * @changes: of the operations of fuzz_target.c
 * @broken: calls that did what they may not
 */
struct fuzz_shared {
	pid_t pids[FUZZ_TARGETS];
	struct fuzz_count calls[FUZZ_OPS_MAX];
	struct fuzz_count changes[FUZZ_OPS_MAX];
	unsigned long broken;
};

struct fuzz_op {
	const char *name;
	/* Return: 0 or more, or -errno */
	long (*run)(__u64 *seed);
	/* What -errno may be besides; ends with 0. */
	int errors[12];
};

extern struct fuzz_shared *fuzz_shared;
extern int fuzz_shared_fd;

/* Below @n. */
unsigned long fuzz_below(__u64 *seed, unsigned long n);
/* True in one case of @n. */
bool fuzz_one_in(__u64 *seed, unsigned long n);
/* An address of the arena; @len: bytes from there on that are in it. */
unsigned long fuzz_range(__u64 *seed, unsigned long *len);
void fuzz_count(struct fuzz_count *count, bool done);
void __attribute__((format(printf, 1, 2))) fuzz_broken(const char *fmt, ...);

/* Operations of callers; each thread sets up and runs them. */
extern const struct fuzz_op fuzz_calls[];
extern const size_t fuzz_nr_calls;
void fuzz_thread_init(void);

/* What they act on: a session, a socket, a target (now and then ourselves). */
int fuzz_session(__u64 *seed);
int fuzz_sock(__u64 *seed);
pid_t fuzz_target(__u64 *seed);
void fuzz_world_init(__u64 seed);
/* Takes what was sent, so that nobody waits for long. Return: bytes */
size_t fuzz_drain(void);
long fuzz_call_close(__u64 *seed);
long fuzz_call_refs(__u64 *seed);
long fuzz_call_protect(__u64 *seed);
long fuzz_call_kill(__u64 *seed);
long fuzz_call_stop(__u64 *seed);
long fuzz_call_page_out(__u64 *seed);
long fuzz_call_compact(__u64 *seed);
long fuzz_call_sock_renew(__u64 *seed);
long fuzz_call_pass(__u64 *seed);
long fuzz_call_fork(__u64 *seed);
long fuzz_call_change(__u64 *seed);

/* Operations of targets. */
extern const struct fuzz_op fuzz_changes[];
extern const size_t fuzz_nr_changes;
void fuzz_change(__u64 *seed);
/* Before the first fuzz_change() of a process. */
void fuzz_change_init(void);
/* One target, for as long as it lives. */
void fuzz_target_run(__u64 seed);

#endif
