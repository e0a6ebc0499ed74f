// SPDX-License-Identifier: GPL-2.0
/*
 * What the write-protect tracker adds to what it is made of, where nothing was written: a
 * PAGEMAP_SCAN that protects, of memory that a userfaultfd of ours covers, over SCAN of as much
 * memory beside it in the same task. Linux 6.7 on; before, there is nothing to measure.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

#define CLEAN_BYTES	(BENCH_BYTES / 2)
/* One scan is short. */
#define CLEAN_SCANS	10
#define CLEAN_REGIONS	64

/* Newer than the headers of Debian 12. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC		(1 << 15)
#endif
#define CLEAN_WRITTEN			(1ULL << 1)
#define CLEAN_WP_MATCHING		(1ULL << 0)

struct clean_region {
	__u64 start;
	__u64 end;
	__u64 categories;
};

/* struct pm_scan_arg of linux/fs.h. */
struct clean_arg {
	__u64 size;
	__u64 flags;
	__u64 start;
	__u64 end;
	__u64 walk_end;
	__u64 vec;
	__u64 vec_len;
	__u64 max_pages;
	__u64 category_inverted;
	__u64 category_mask;
	__u64 category_anyof_mask;
	__u64 return_mask;
};

#define CLEAN_PAGEMAP_SCAN	_IOWR('f', 16, struct clean_arg)

static struct target target;
static unsigned long raw_addr, our_addr;
static int pagemap_fd, uffd;
static struct svm svm;

static long clean_pagemap_scan(void)
{
	struct clean_region regions[CLEAN_REGIONS];
	struct clean_arg arg = {
		.size = sizeof(arg),
		.flags = CLEAN_WP_MATCHING,
		.start = raw_addr,
		.end = raw_addr + CLEAN_BYTES,
		.vec = (unsigned long)regions,
		.vec_len = CLEAN_REGIONS,
		.category_mask = CLEAN_WRITTEN,
		.return_mask = CLEAN_WRITTEN,
	};
	long found;

	found = ioctl(pagemap_fd, CLEAN_PAGEMAP_SCAN, &arg);
	ksft_must(found >= 0 && arg.walk_end == arg.end);
	return found;
}

static double clean_raw(void)
{
	__u64 start = sys_now_ns();
	int i;

	for (i = 0; i < CLEAN_SCANS; i++)
		ksft_must(!clean_pagemap_scan());
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

/* A userfaultfd of the target, and all of its first memory under it. */
static void clean_protect_raw(void)
{
	struct splice_vm_uffd arg = { .size = sizeof(arg) };
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
	};
	struct uffdio_register reg = {
		.range = { raw_addr, CLEAN_BYTES },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	ksft_must(!svm_ioctl(svm.fd, SPLICE_VM_UFFD, &arg));
	uffd = arg.fd;
	ksft_must(!ioctl(uffd, UFFDIO_API, &api));
	ksft_must(!ioctl(uffd, UFFDIO_REGISTER, &reg));
	clean_pagemap_scan();
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
	clean_protect_raw();
	ksft_must(!svm_track_with(svm.fd, SPLICE_VM_TRACKER_PROTECT));
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
	if (!svm_has_tracker(SPLICE_VM_TRACKER_PROTECT)) {
		printf("# no write-protect tracker on this kernel\n");
		return 0;
	}
	clean_pages("scan_clean_vs_pagemap_scan", MADV_NOHUGEPAGE);
	clean_pages("scan_clean_vs_pagemap_scan_thp", MADV_HUGEPAGE);
	return 0;
}
