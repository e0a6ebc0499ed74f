// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls of several threads on sessions of several targets, which change their
 * mappings, fork, exec and die meanwhile. What is looked for are splats and leaks, so it belongs
 * into the debug kernel; of the answers only what always holds is checked.
 *
 *	fuzz [--seconds N] [--seed N] [--threads N]
 *
 * The same seed gives each thread the same calls, not the same order between threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "ksft.h"
#include "sys.h"

#define THREADS_MAX	16
/* A call that takes longer hangs; an emulated machine is slow. */
#define HANG_SECONDS	120
#define BROKEN_SHOWN	20

struct fuzz_shared *fuzz_shared;
int fuzz_shared_fd;

/**
 * struct fuzz_thread - a caller
 * @thread: it
 * @seed: of its calls
 * @calls: so far
 * @op: what it is doing
 */
struct fuzz_thread {
	pthread_t thread;
	__u64 seed;
	unsigned long calls;
	size_t op;
};

static struct fuzz_thread threads[THREADS_MAX];
static bool stopping;

unsigned long fuzz_below(__u64 *seed, unsigned long n)
{
	return (sys_random(seed) >> 8) % n;
}

bool fuzz_one_in(__u64 *seed, unsigned long n)
{
	return !fuzz_below(seed, n);
}

unsigned long fuzz_range(__u64 *seed, unsigned long *len)
{
	unsigned long pages = FUZZ_ARENA_LEN / PAGE_SIZE;
	unsigned long first = fuzz_below(seed, pages);
	unsigned long nr = 1 + fuzz_below(seed, fuzz_one_in(seed, 4) ? 2048 :
								       64);

	if (nr > pages - first)
		nr = pages - first;
	*len = nr * PAGE_SIZE;
	return FUZZ_ARENA + first * PAGE_SIZE;
}

void fuzz_count(struct fuzz_count *count, bool done)
{
	__atomic_fetch_add(done ? &count->done : &count->failed, 1,
			   __ATOMIC_RELAXED);
}

void fuzz_broken(const char *fmt, ...)
{
	char line[256];
	va_list args;

	if (__atomic_fetch_add(&fuzz_shared->broken, 1, __ATOMIC_RELAXED) >=
	    BROKEN_SHOWN)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	ksft_print_msg("broken: %s", line);
}

static bool fuzz_is_allowed(const struct fuzz_op *op, int error)
{
	/* Of all calls. EBADF: another thread has just closed it. */
	static const int all[] = {
		EINVAL, E2BIG, EOPNOTSUPP, EFAULT, ENOTCONN, ESRCH, EINTR,
		ENOMEM, EBADF,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i] == error)
			return true;
	}
	for (i = 0; i < ARRAY_SIZE(op->errors); i++) {
		if (op->errors[i] == error)
			return true;
	}
	return false;
}

static void *fuzz_caller(void *arg)
{
	struct fuzz_thread *t = arg;
	long ret;

	fuzz_thread_init();
	while (!READ_ONCE(stopping)) {
		const struct fuzz_op *op;

		WRITE_ONCE(t->op, fuzz_below(&t->seed, fuzz_nr_calls));
		op = &fuzz_calls[t->op];
		ret = op->run(&t->seed);
		if (ret < 0 && !fuzz_is_allowed(op, -ret))
			fuzz_broken("%s: %s\n", op->name, strerror(-ret));
		fuzz_count(&fuzz_shared->calls[t->op], ret >= 0);
		WRITE_ONCE(t->calls, t->calls + 1);
	}
	return NULL;
}

static void *fuzz_drainer(void *arg)
{
	(void)arg;
	while (!READ_ONCE(stopping)) {
		if (!fuzz_drain())
			sys_sleep_us(2000);
	}
	return NULL;
}

/* A process of its own, with one thread: it forks, and waits for whoever dies. */
static void fuzz_nursery(__u64 seed)
{
	pid_t pid, died;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		for (i = 0; i < FUZZ_TARGETS; i++) {
			if (fuzz_shared->pids[i])
				continue;
			seed++;
			pid = fork();
			ksft_must(pid >= 0);
			if (!pid) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				fuzz_target_run(seed);
			}
			WRITE_ONCE(fuzz_shared->pids[i], pid);
		}
		died = wait(NULL);
		for (i = 0; i < FUZZ_TARGETS; i++) {
			if (fuzz_shared->pids[i] == died)
				WRITE_ONCE(fuzz_shared->pids[i], 0);
		}
	}
}

static void fuzz_signal(int sig)
{
	(void)sig;
}

/* Also ends the test when a call does not come back. */
static void fuzz_watch(unsigned int nr, unsigned int seconds, __u64 seed)
{
	__u64 second = 1000000000ULL, now = sys_now_ns();
	__u64 end = now + seconds * second, moved[THREADS_MAX];
	unsigned long calls[THREADS_MAX] = {};
	unsigned int i;

	for (i = 0; i < nr; i++)
		moved[i] = now;
	for (; now < end; now = sys_now_ns()) {
		sys_sleep_us(1000 + fuzz_below(&seed, 40000));
		pthread_kill(threads[fuzz_below(&seed, nr)].thread, SIGUSR1);
		for (i = 0; i < nr; i++) {
			if (calls[i] != READ_ONCE(threads[i].calls)) {
				calls[i] = READ_ONCE(threads[i].calls);
				moved[i] = now;
			} else if (now - moved[i] > HANG_SECONDS * second) {
				sys_write_file("/proc/sysrq-trigger", "t");
				ksft_exit_fail_msg("%s does not come back\n",
					fuzz_calls[threads[i].op].name);
			}
		}
	}
}

/* An operation that never worked tests nothing. */
static bool fuzz_report(const char *what, const struct fuzz_op *ops, size_t nr,
			const struct fuzz_count *counts)
{
	bool all = true;
	size_t i;

	for (i = 0; i < nr; i++) {
		ksft_print_msg("%s: %-16s %8lu done, %8lu failed\n", what,
			       ops[i].name, counts[i].done, counts[i].failed);
		all = all && counts[i].done;
	}
	return all;
}

static void fuzz_system(void)
{
	struct sigaction act = { .sa_handler = fuzz_signal };

	/* Without SA_RESTART: calls end early. */
	ksft_must(!sigaction(SIGUSR1, &act, NULL));
	signal(SIGPIPE, SIG_IGN);
	sys_swap_on(256);
	sys_hugetlb_pages(8);
	sys_write_file("/sys/kernel/mm/ksm/run", "1");
	sys_write_file("/sys/kernel/mm/transparent_hugepage/enabled", "always");
	sys_write_file("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
		       "100");
}

static void fuzz_run(unsigned int nr, unsigned int seconds, __u64 seed)
{
	pthread_t drainer;
	pid_t nursery;
	unsigned int i;
	bool all;

	fuzz_system();
	nursery = fork();
	ksft_must(nursery >= 0);
	if (!nursery)
		fuzz_nursery(seed << 8);
	fuzz_change_init();
	fuzz_world_init(seed);
	for (i = 0; i < nr; i++) {
		threads[i].seed = seed * 100 + i;
		ksft_must(!pthread_create(&threads[i].thread, NULL, fuzz_caller,
					  &threads[i]));
	}
	ksft_must(!pthread_create(&drainer, NULL, fuzz_drainer, NULL));
	fuzz_watch(nr, seconds, seed);
	WRITE_ONCE(stopping, true);
	for (i = 0; i < nr; i++) {
		pthread_kill(threads[i].thread, SIGUSR1);
		pthread_join(threads[i].thread, NULL);
	}
	pthread_join(drainer, NULL);
	kill(nursery, SIGKILL);
	waitpid(nursery, NULL, 0);
	all = fuzz_report("call", fuzz_calls, fuzz_nr_calls, fuzz_shared->calls);
	ksft_test_result(all, "every call succeeded now and then\n");
	all = fuzz_report("target", fuzz_changes, fuzz_nr_changes,
			  fuzz_shared->changes);
	ksft_test_result(all, "every kind of change happened\n");
	ksft_test_value(fuzz_shared->broken, 0, "what was answered holds\n");
}

static void fuzz_share(int fd)
{
	fuzz_shared_fd = fd;
	if (fd < 0) {
		/* Not closed by exec: a target takes it along. */
		fuzz_shared_fd = memfd_create("shared", 0);
		ksft_must(fuzz_shared_fd >= 0);
		ksft_must(!ftruncate(fuzz_shared_fd, sizeof(*fuzz_shared)));
	}
	fuzz_shared = mmap(NULL, sizeof(*fuzz_shared), PROT_READ | PROT_WRITE,
			   MAP_SHARED, fuzz_shared_fd, 0);
	ksft_must(fuzz_shared != MAP_FAILED);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'e' },
		{ "threads", required_argument, NULL, 't' },
		/* For exec of a target. */
		{ "target", required_argument, NULL, 'T' },
		{ "shared", required_argument, NULL, 'S' },
		{}
	};
	unsigned int seconds = 60, nr = 4;
	__u64 seed = sys_now_ns() % 1000000, target = 0;
	int opt, shared = -1;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		__u64 value = optarg ? strtoull(optarg, NULL, 0) : 0;

		switch (opt) {
		case 's':
			seconds = value;
			break;
		case 'e':
			seed = value;
			break;
		case 't':
			nr = value;
			break;
		case 'T':
			target = value;
			break;
		case 'S':
			shared = value;
			break;
		default:
			ksft_exit_fail_msg("unknown option\n");
		}
	}
	fuzz_share(shared);
	if (target)
		fuzz_target_run(target);
	if (!nr || nr > THREADS_MAX)
		ksft_exit_fail_msg("1 to %d threads\n", THREADS_MAX);
	ksft_print_header();
	ksft_print_msg("--seed %llu --seconds %u --threads %u\n", seed, seconds,
		       nr);
	fuzz_run(nr, seconds, seed);
	ksft_finished();
}
