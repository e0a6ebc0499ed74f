// SPDX-License-Identifier: GPL-2.0
/*
 * Task, sender and receiver are killed in the middle of SEND, at random moments and in random
 * order. Afterwards the task's frames must have no reference left. A leaked frame is still marked
 * anonymous, but no page table and no swap cache has it, as /proc/kpageflags and kpagecount show.
 * The control keeps a socket with unread pages open, which the same check must find.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ksft.h"
#include "net.h"
#include "svm.h"
#include "sys.h"
#include "target.h"

#define RUNS		100
#define PAGES		2048UL
#define LEN		(PAGES * PAGE_SIZE)
#define REFCNT		"/sys/module/splice_vm/refcnt"

/* Of each frame, as /proc/kpageflags and kpagecount have it. */
static __u64 *leak_flags, *leak_counts;
static unsigned long leak_nr;

static unsigned long leak_read(const char *path, __u64 **entries)
{
	static const size_t step = 1UL << 20;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0, cap = 0;
	ssize_t got;

	ksft_must(fd >= 0);
	do {
		if (have + step > cap) {
			cap += 8 * step;
			*entries = realloc(*entries, cap);
			ksft_must(*entries);
		}
		got = pread(fd, (char *)*entries + have, step, have);
		ksft_must(got >= 0);
		have += got;
	} while (got);
	close(fd);
	return have / sizeof(**entries);
}

/*
 * Anonymous, mapped nowhere, not in the swap cache: such a frame is only still one
 * since somebody holds a reference on it.
 */
static bool leak_is_held(__u64 pfn)
{
	return pfn < leak_nr && (leak_flags[pfn] & KPF_ANON) &&
	       !(leak_flags[pfn] & KPF_SWAPCACHE) && !leak_counts[pfn];
}

static unsigned long leak_count(const __u64 *pfns, unsigned long nr)
{
	unsigned long i, held = 0;

	leak_nr = leak_read("/proc/kpageflags", &leak_flags);
	ksft_must(leak_read("/proc/kpagecount", &leak_counts) == leak_nr);
	for (i = 0; i < nr; i++)
		held += leak_is_held(pfns[i]);
	return held;
}

/* Sockets and address spaces are torn down a little later than their owners. */
static unsigned long leak_count_settled(const __u64 *pfns, unsigned long nr)
{
	unsigned long held;
	int i;

	for (i = 0; i < 50; i++) {
		sys_drain_lru();
		net_drain();
		held = leak_count(pfns, nr);
		if (!held)
			break;
		sys_sleep_us(100000);
	}
	return held;
}

static void leak_sender(struct target *t, unsigned long addr, int sock)
{
	int mem_fd = sys_proc_open(t->pid, "mem", O_RDWR);
	int refs_fd = sys_proc_open(t->pid, "clear_refs", O_WRONLY);
	int fd = svm_open_device();
	long ret = svm_attach(fd, mem_fd, 0) ?: svm_track(fd);

	while (ret >= 0 && write(refs_fd, "4", 1) == 1)
		ret = svm_send_one(fd, sock, addr, PAGES, NULL);
	/* The target is gone, or the receiver: wait to be killed like the rest. */
	pause();
}

static void leak_receiver(int sock)
{
	char data[50000];

	while (read(sock, data, sizeof(data)) > 0)
		sys_sleep_us(100);
	pause();
}

static pid_t leak_fork_sender(struct target *t, unsigned long addr,
			      const int pair[2])
{
	pid_t pid = fork();

	ksft_must(pid >= 0);
	if (!pid) {
		close(pair[1]);
		leak_sender(t, addr, pair[0]);
		_exit(0);
	}
	return pid;
}

static pid_t leak_fork_receiver(const int pair[2])
{
	pid_t pid = fork();

	ksft_must(pid >= 0);
	if (!pid) {
		close(pair[0]);
		leak_receiver(pair[1]);
		_exit(0);
	}
	return pid;
}

static unsigned long leak_map(struct target *t, bool huge)
{
	unsigned long addr = target_map(t, LEN, huge ? MADV_HUGEPAGE :
						       MADV_NOHUGEPAGE);

	target_fill(t, addr, LEN, 5);
	return addr;
}

static void leak_pfns(struct target *t, unsigned long addr, __u64 *pfns)
{
	unsigned long i;

	sys_pagemap_read(t->pid, addr, PAGES, pfns);
	for (i = 0; i < PAGES; i++)
		pfns[i] = PM_PFN(pfns[i]);
}

/* All three die, in an order and with pauses that the seed says. */
static void leak_run(unsigned int i, __u64 *seed, __u64 *pfns)
{
	pid_t pids[3], swap;
	struct target t;
	unsigned long addr;
	int pair[2], j, other;

	target_start(&t);
	addr = leak_map(&t, i % 4 == 3);
	leak_pfns(&t, addr, pfns);
	net_kinds[i % 2].pair(pair);
	pids[0] = t.pid;
	pids[1] = leak_fork_sender(&t, addr, pair);
	pids[2] = leak_fork_receiver(pair);
	close(pair[0]);
	close(pair[1]);
	sys_sleep_us(1000 + sys_random(seed) % 60000);
	for (j = 0; j < 3; j++) {
		other = j + sys_random(seed) % (3 - j);
		swap = pids[j];
		pids[j] = pids[other];
		pids[other] = swap;
		kill(pids[j], SIGKILL);
		sys_sleep_us(sys_random(seed) % 3000);
	}
	for (j = 0; j < 3; j++) {
		if (pids[j] != t.pid)
			waitpid(pids[j], NULL, 0);
	}
	target_stop(&t);
}

static void leak_test(__u64 seed)
{
	static __u64 pfns[RUNS * PAGES];
	long refs = sys_read_long(REFCNT);
	unsigned long held;
	unsigned int i;

	ksft_print_msg("seed %llu\n", seed);
	for (i = 0; i < RUNS; i++)
		leak_run(i, &seed, pfns + i * PAGES);
	held = leak_count_settled(pfns, RUNS * PAGES);
	ksft_test_value(held, 0, "%d times killed: no frame is held\n", RUNS);
	for (i = 0; held && i < RUNS * PAGES; i++) {
		if (leak_is_held(pfns[i]) && held--)
			ksft_print_msg("run %lu, frame %#llx, flags %#llx\n",
				       i / PAGES, pfns[i],
				       leak_flags[pfns[i]]);
	}
	ksft_test_value(sys_read_long(REFCNT), refs,
			"no reference on the module is left\n");
}

/* Unread pages in a socket, or in a pipe, whose task has died. */
static void leak_test_control(bool in_pipe, bool huge)
{
	static __u64 pfns[PAGES];
	unsigned long held;
	struct target t;
	struct svm s;
	unsigned long addr;
	int pair[2];

	target_start(&t);
	addr = leak_map(&t, huge);
	leak_pfns(&t, addr, pfns);
	svm_open(&s, t.pid, false);
	if (in_pipe) {
		ksft_must(!pipe(pair));
		ksft_must(svm_splice(s.fd, pair[1], addr, 16 * PAGE_SIZE) ==
			  16 * PAGE_SIZE);
	} else {
		net_unix_pair(pair);
		ksft_must(svm_send_one(s.fd, pair[0], addr, 16, NULL) == 16);
	}
	svm_close(&s);
	target_stop(&t);
	sys_sleep_us(200000);
	sys_drain_lru();
	held = leak_count(pfns, PAGES);
	/* Of a huge page one reference holds all. */
	ksft_test_result(held >= (huge ? 512 : 16),
			 "control: %lu frames held by a %s%s\n", held,
			 in_pipe ? "pipe" : "socket", huge ? ", huge" : "");
	close(pair[0]);
	close(pair[1]);
	ksft_test_value(leak_count_settled(pfns, PAGES), 0,
			"control: and none when it is closed\n");
}

int main(int argc, char **argv)
{
	__u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : sys_now_ns();

	ksft_print_header();
	signal(SIGPIPE, SIG_IGN);
	leak_test_control(false, false);
	leak_test_control(true, false);
	leak_test_control(false, true);
	leak_test(seed);
	ksft_finished();
}
