// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ksft.h"
#include "sys.h"
#include "target.h"

/* Memory shared by test and target; the pipes pass the turn. */
struct target_ctl {
	target_fn fn;
	unsigned long args[6];
	long ret;
};

static void target_loop(struct target_ctl *ctl, int request, int reply)
{
	char turn;

	while (read(request, &turn, 1) == 1) {
		ctl->ret = ctl->fn(ctl->args);
		if (write(reply, &turn, 1) != 1)
			break;
	}
	_exit(0);
}

void target_start(struct target *t)
{
	int request[2], reply[2];

	t->ctl = mmap(NULL, PAGE_SIZE + TARGET_SHARED, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ksft_must(t->ctl != MAP_FAILED);
	t->shared = (char *)t->ctl + PAGE_SIZE;
	ksft_must(!pipe2(request, O_CLOEXEC) && !pipe2(reply, O_CLOEXEC));
	t->pid = fork();
	ksft_must(t->pid >= 0);
	if (!t->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(request[1]);
		close(reply[0]);
		target_loop(t->ctl, request[0], reply[1]);
	}
	close(request[0]);
	close(reply[1]);
	t->request = request[1];
	t->reply = reply[0];
}

void target_stop(struct target *t)
{
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
	close(t->request);
	close(t->reply);
	munmap(t->ctl, PAGE_SIZE + TARGET_SHARED);
}

void target_freeze(struct target *t)
{
	int status;

	ksft_must(!kill(t->pid, SIGSTOP));
	ksft_must(waitpid(t->pid, &status, WUNTRACED) == t->pid);
	if (!WIFSTOPPED(status))
		ksft_exit_fail_msg("target died, status %#x\n", status);
}

void target_thaw(struct target *t)
{
	ksft_must(!kill(t->pid, SIGCONT));
}

void target_post(struct target *t, target_fn fn, const unsigned long *args)
{
	char turn = 0;

	t->ctl->fn = fn;
	memcpy(t->ctl->args, args, sizeof(t->ctl->args));
	ksft_must(write(t->request, &turn, 1) == 1);
}

long target_call(struct target *t, target_fn fn, const unsigned long *args)
{
	char turn;

	target_post(t, fn, args);
	if (read(t->reply, &turn, 1) != 1)
		ksft_exit_fail_msg("the target died\n");
	return t->ctl->ret;
}

static long target_syscall_fn(const unsigned long *args)
{
	struct target_ctl *ctl = (void *)((char *)args -
					  offsetof(struct target_ctl, args));
	long ret = syscall(ctl->ret, args[0], args[1], args[2], args[3],
			   args[4], args[5]);

	return ret == -1 ? -errno : ret;
}

long target_syscall(struct target *t, long nr, const unsigned long *args)
{
	/* the six arguments fill args, so the call's number goes into the field of the answer */
	t->ctl->ret = nr;
	return target_call(t, target_syscall_fn, args);
}

unsigned long target_map(struct target *t, size_t len, int advice)
{
	long addr = target_sys(t, SYS_mmap, 0, len + PMD_SIZE,
			       PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	unsigned long start;

	if (addr < 0 && addr > -4096)
		ksft_exit_fail_msg("mmap in the target: %s\n", strerror(-addr));
	start = (addr + PMD_SIZE - 1) & ~(PMD_SIZE - 1);
	/* a hole on both sides, so that the mapping does not merge with its neighbours */
	if (start > (unsigned long)addr)
		target_sys(t, SYS_munmap, addr, start - addr);
	if (start < (unsigned long)addr + PMD_SIZE)
		target_sys(t, SYS_munmap, start + len,
			   addr + PMD_SIZE - start);
	if (advice)
		target_madvise(t, start, len, advice);
	return start;
}

unsigned long pattern_word(unsigned long addr, unsigned long seed)
{
	unsigned long x = (addr >> 3) + seed * 0x9E3779B97F4A7C15UL;

	x ^= x >> 29;
	x *= 0xBF58476D1CE4E5B9UL;
	return x ^ (x >> 32);
}

void pattern_fill(void *mem, unsigned long addr, size_t len,
		  unsigned long seed)
{
	__u64 *words = mem;
	size_t i;

	for (i = 0; i < len / 8; i++)
		words[i] = pattern_word(addr + i * 8, seed);
}

bool pattern_is(const void *mem, unsigned long addr, size_t len,
		unsigned long seed)
{
	const __u64 *words = mem;
	size_t i;

	for (i = 0; i < len / 8; i++) {
		if (words[i] != (seed ? pattern_word(addr + i * 8, seed) : 0))
			return false;
	}
	return true;
}

static long target_fill_fn(const unsigned long *args)
{
	unsigned long i;

	if (args[2])
		pattern_fill((void *)args[0], args[0], args[1], args[2]);
	else
		for (i = 0; i < args[1]; i += PAGE_SIZE)
			(void)READ_ONCE(((char *)args[0])[i]);
	return 0;
}

void target_fill(struct target *t, unsigned long addr, size_t len,
		 unsigned long seed)
{
	target_do(t, target_fill_fn, addr, len, seed);
}

void target_madvise(struct target *t, unsigned long addr, size_t len,
		    int advice)
{
	long ret = target_sys(t, SYS_madvise, addr, len, advice);

	/* a kernel without huge pages does not know MADV_NOHUGEPAGE */
	if (ret == -EINVAL && advice == MADV_NOHUGEPAGE)
		return;
	if (ret)
		ksft_exit_fail_msg("madvise %d: %s\n", advice, strerror(-ret));
}

void target_page_out(struct target *t, unsigned long addr, size_t len)
{
	unsigned long nr = len / PAGE_SIZE, gone = 0;
	int i;

	for (i = 1; i <= 1500; i++) {
		/* the kernel cannot page out pages that are on a CPU's private list */
		sys_drain_lru();
		/* Linux 6.12 keeps some pages on a list that only compaction drains */
		if (i % 100 == 0)
			sys_compact();
		target_madvise(t, addr, len, MADV_PAGEOUT);
		gone = sys_pagemap_count(t->pid, addr, nr, PM_SWAP);
		if (gone == nr)
			return;
		sys_sleep_us(10000);
	}
	ksft_exit_fail_msg("%lu of %lu pages go to swap\n", gone, nr);
}

/* O_CLOEXEC without UFFD_USER_MODE_ONLY: catches faults of the kernel too, which needs root. */
static long target_uffd_fn(const unsigned long *args)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { args[0], args[1] },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return fd;
}

long target_uffd(struct target *t, unsigned long addr, size_t len)
{
	return target_do(t, target_uffd_fn, addr, len);
}

static long target_fork_write_fn(const unsigned long *args)
{
	pid_t pid = fork();

	if (!pid) {
		WRITE_ONCE(*(long *)args[0], 1);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return pid;
}

void target_fork_write(struct target *t, unsigned long addr)
{
	ksft_must(target_do(t, target_fork_write_fn, addr) > 0);
}
