// SPDX-License-Identifier: GPL-2.0
/*
 * What the write-protect tracker adds to what it is made of, where nothing was written: a
 * PAGEMAP_SCAN that protects, of memory that a userfaultfd of ours covers, over SCAN of as much
 * memory beside it in the same task. Linux 6.7 on; before, there is nothing to measure.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"
#include "wp.h"

#define CLEAN_BYTES	(1UL << 30)
/* One scan is short. */
#define CLEAN_SCANS	10

static struct target target;
static unsigned long raw_addr, our_addr;
static int pagemap_fd, uffd;
static struct svm svm;

static double clean_raw(void)
{
	__u64 start = sys_now_ns();
	int i;

	for (i = 0; i < CLEAN_SCANS; i++)
		ksft_must(!wp_scan(pagemap_fd, raw_addr, CLEAN_BYTES));
	return (sys_now_ns() - start) / 1e9;
}

static unsigned long clean_scan(void)
{
	struct svm_runs runs = {};
	unsigned long dirty;

	ksft_must(!svm_scan(&svm, SPLICE_VM_SCAN_TRACKED, our_addr,
			    our_addr + CLEAN_BYTES, 4096, &runs));
	dirty = svm_runs_pages(&runs, SPLICE_VM_RUN_DIRTY, 0);
	svm_runs_free(&runs);
	return dirty;
}

static double clean_ours(void)
{
	__u64 start = sys_now_ns();
	int i;

	for (i = 0; i < CLEAN_SCANS; i++)
		ksft_must(!clean_scan());
	return (sys_now_ns() - start) / 1e9;
}

static void clean_pages(const char *name, int advice)
{
	struct bench_way raw = { .name = "PAGEMAP_SCAN", .run = clean_raw };
	struct bench_way ours = { .name = "SCAN", .run = clean_ours };

	target_start(&target);
	raw_addr = target_map(&target, CLEAN_BYTES, advice);
	our_addr = target_map(&target, CLEAN_BYTES, advice);
	target_fill(&target, raw_addr, CLEAN_BYTES, 1);
	target_fill(&target, our_addr, CLEAN_BYTES, 2);
	sys_drain_lru();
	pagemap_fd = sys_proc_open(target.pid, "pagemap", O_RDONLY);
	ksft_must(pagemap_fd >= 0);
	svm_open(&svm, target.pid, false);
	uffd = wp_uffd(&svm);
	wp_register(uffd, raw_addr, CLEAN_BYTES);
	wp_scan(pagemap_fd, raw_addr, CLEAN_BYTES);
	ksft_must(!svm_start_tracker(&svm, SPLICE_VM_TRACKER_EVENTS));
	/* Both must see what there is before they may call it clean. */
	ksft_must(clean_scan() == CLEAN_BYTES / PAGE_SIZE);
	clean_scan();
	bench_compare(name, &raw, &ours);
	close(uffd);
	close(pagemap_fd);
	svm_close(&svm);
	target_stop(&target);
}

int main(void)
{
	if (!svm_has_tracker(SPLICE_VM_TRACKER_EVENTS)) {
		printf("# no write-protect tracker on this kernel\n");
		return 0;
	}
	clean_pages("scan_clean_vs_pagemap_scan", MADV_NOHUGEPAGE);
	clean_pages("scan_clean_vs_pagemap_scan_thp", MADV_HUGEPAGE);
	return 0;
}
