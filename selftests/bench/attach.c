// SPDX-License-Identifier: GPL-2.0
/*
 * What ATTACH costs a task with many mappings: registering an MMU notifier takes all locks of
 * its address space (mm_take_all_locks), and the task's faults wait meanwhile. The longest
 * that one call takes, with few mappings and with about as many as Linux allows.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

#define ATTACH_MAPPINGS	60000UL

/* Every second page has other rights, so no two are merged. Return: 0 or -errno */
static long attach_split(const unsigned long *args)
{
	unsigned long i;

	for (i = 0; i < ATTACH_MAPPINGS; i += 2) {
		if (mprotect((void *)(args[0] + i * PAGE_SIZE), PAGE_SIZE, PROT_READ))
			return -errno;
	}
	return 0;
}

/* Microseconds of ATTACH, median. */
static double attach_measure(pid_t pid)
{
	double took[BENCH_RUNS];
	int i, fd, mem_fd;
	__u64 start;

	for (i = 0; i < BENCH_RUNS; i++) {
		fd = svm_open_device();
		mem_fd = sys_proc_open(pid, "mem", O_RDWR);
		ksft_must(mem_fd >= 0);
		start = sys_now_ns();
		ksft_must(!svm_attach(fd, mem_fd, 0));
		took[i] = (sys_now_ns() - start) / 1e3;
		close(mem_fd);
		close(fd);
	}
	return bench_median(took);
}

int main(void)
{
	struct target target;
	unsigned long addr;
	double few, many;

	target_start(&target);
	few = attach_measure(target.pid);
	addr = target_map(&target, ATTACH_MAPPINGS * PAGE_SIZE, MADV_NOHUGEPAGE);
	ksft_must(!target_do(&target, attach_split, addr));
	many = attach_measure(target.pid);
	printf("# ATTACH: %.0f us, with %lu mappings more %.0f us\n", few,
	       ATTACH_MAPPINGS, many);
	bench_figure("attach_us_per_1000_mappings",
		     (many - few) / (ATTACH_MAPPINGS / 1000), "us");
	target_stop(&target);
	return 0;
}
