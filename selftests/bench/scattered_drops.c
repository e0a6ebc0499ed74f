// SPDX-License-Identifier: GPL-2.0
/*
 * What SCAN costs after 10,000 drops of one page each, 2 MiB apart in a reservation of 32 GiB, over
 * SCAN after one drop of 10,000 pages side by side, in the same mapping.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

#define DROPS		10000UL
#define RESERVED	(32UL << 30)

static struct target target;
static unsigned long addr;
static struct svm svm;
static struct splice_vm_run runs[16384];

static unsigned long drops_stride(const unsigned long *args)
{
	return args[1];
}

static long drops_touch_fn(const unsigned long *args)
{
	unsigned long i;

	for (i = 0; i < DROPS; i++)
		WRITE_ONCE(*(long *)(args[0] + i * drops_stride(args)), i);
	return 0;
}

/* One call where the pages lie side by side. */
static long drops_discard_fn(const unsigned long *args)
{
	unsigned long i;

	if (drops_stride(args) == PAGE_SIZE)
		return madvise((void *)args[0], DROPS * PAGE_SIZE, MADV_DONTNEED);
	for (i = 0; i < DROPS; i++) {
		if (madvise((void *)(args[0] + i * drops_stride(args)), PAGE_SIZE,
			    MADV_DONTNEED))
			return -1;
	}
	return 0;
}

/* All of the reservation. Return: seconds; @pages: DROPPED ones, @others: the rest */
static double drops_scan(unsigned long *pages, unsigned long *others)
{
	struct splice_vm_scan scan = {
		.size = sizeof(scan),
		.flags = SPLICE_VM_SCAN_TRACKED,
		.start = addr,
		.end = addr + RESERVED,
		.runs = (unsigned long)runs,
	};
	__u64 start = sys_now_ns();
	__u32 i;

	*pages = 0;
	*others = 0;
	do {
		scan.nr_runs = ARRAY_SIZE(runs);
		ksft_must(!svm_ioctl(svm.fd, SPLICE_VM_SCAN, &scan));
		for (i = 0; i < scan.nr_runs; i++)
			*(runs[i].flags == SPLICE_VM_RUN_DROPPED ? pages :
			  others) += runs[i].nr_pages;
	} while (!scan.done);
	return (sys_now_ns() - start) / 1e9;
}

static double drops_run(unsigned long stride)
{
	unsigned long pages, others;
	double seconds;

	target_do(&target, drops_touch_fn, addr, stride);
	sys_drain_lru();
	svm_epoch(&svm);
	drops_scan(&pages, &others);
	svm_epoch(&svm);
	drops_scan(&pages, &others);
	ksft_must(!target_do(&target, drops_discard_fn, addr, stride));
	seconds = drops_scan(&pages, &others);
	if (pages != DROPS || others)
		ksft_exit_fail_msg("%lu pages dropped, %lu others\n", pages, others);
	return seconds;
}

static double drops_scattered(void)
{
	return drops_run(PMD_SIZE);
}

static double drops_one(void)
{
	return drops_run(PAGE_SIZE);
}

int main(void)
{
	struct bench_way scattered = { .name = "10,000 drops", .run = drops_scattered };
	struct bench_way one = { .name = "one drop", .run = drops_one };

	target_start(&target);
	addr = target_map(&target, RESERVED, MADV_NOHUGEPAGE);
	svm_use_tracker(SPLICE_VM_TRACKER_SOFT_DIRTY);
	svm_open(&svm, target.pid, true);
	bench_compare("scattered_drops", &scattered, &one);
	svm_close(&svm);
	target_stop(&target);
	return 0;
}
