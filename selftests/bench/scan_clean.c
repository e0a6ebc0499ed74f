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

#include "backend/pagemap_scan.h"
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

/* The one that the tracker makes: no page of it was written. */
static void clean_pagemap_scan(void)
{
	struct pagemap_region region;
	struct pagemap_scan scan = {
		.flags = PAGEMAP_SCAN_WP_MATCHING,
		.start = raw_addr,
		.end = raw_addr + CLEAN_BYTES,
		.vec = (unsigned long)&region,
		.vec_len = 1,
		.category_mask = PAGEMAP_SCAN_WRITTEN | PAGEMAP_SCAN_PFNZERO,
		.category_inverted = PAGEMAP_SCAN_PFNZERO,
		.category_anyof_mask = PAGEMAP_SCAN_PRESENT |
				       PAGEMAP_SCAN_SWAPPED,
		.return_mask = PAGEMAP_SCAN_WRITTEN,
	};

	ksft_must(!pagemap_scan(pagemap_fd, &scan));
}

static double clean_raw(void)
{
	__u64 start = sys_now_ns();
	int i;

	for (i = 0; i < CLEAN_SCANS; i++)
		clean_pagemap_scan();
	return (sys_now_ns() - start) / 1e9;
}

/* As the kernel has a shorter way for it; notes protection in holes, too. */
static double clean_written(void)
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

static void clean_pages(const char *name, const char *written_name, int advice)
{
	struct bench_way raw = { .name = "PAGEMAP_SCAN", .run = clean_raw };
	struct bench_way written = { .name = "for written pages", .run = clean_written };
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
	bench_compare(written_name, &written, &raw);
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
	clean_pages("scan_clean_vs_pagemap_scan", "pagemap_scan_written_vs_present",
		    MADV_NOHUGEPAGE);
	clean_pages("scan_clean_vs_pagemap_scan_thp",
		    "pagemap_scan_written_vs_present_thp", MADV_HUGEPAGE);
	return 0;
}
