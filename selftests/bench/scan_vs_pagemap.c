// SPDX-License-Identifier: GPL-2.0
/*
 * Time to learn which of 512 MiB of 4 KiB pages were written, and to begin anew: soft-dirty
 * bits out of pagemap and clear_refs, over clear_refs with a tracker and SCAN. Once with
 * every 16th page written, once with none.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

#define SCAN_PAGES	(BENCH_BYTES / PAGE_SIZE)
#define SCAN_STEP	16UL

static struct target target;
static unsigned long addr;
static __u64 *entries;
static bool dirty;

static long scan_touch_fn(const unsigned long *args)
{
	unsigned long i;

	for (i = 0; i < SCAN_PAGES; i += SCAN_STEP)
		WRITE_ONCE(*(long *)(args[0] + i * PAGE_SIZE), i);
	return 0;
}

static void scan_touch(void)
{
	if (dirty)
		target_do(&target, scan_touch_fn, addr);
}

static void scan_check(unsigned long found)
{
	unsigned long want = dirty ? SCAN_PAGES / SCAN_STEP : 0;

	/* A few pages may be held by somebody; a way that finds too little is void. */
	if (found < want || found > want + SCAN_PAGES / 100)
		ksft_exit_fail_msg("%lu pages, not %lu\n", found, want);
}

static double scan_pagemap(void)
{
	int map_fd = sys_proc_open(target.pid, "pagemap", O_RDONLY);
	int refs_fd = sys_proc_open(target.pid, "clear_refs", O_WRONLY);
	ssize_t want = SCAN_PAGES * sizeof(*entries);
	unsigned long i, found = 0;
	struct svm_runs runs = {};
	__u64 start;

	ksft_must(map_fd >= 0 && refs_fd >= 0);
	ksft_must(write(refs_fd, "4", 1) == 1);
	scan_touch();
	start = sys_now_ns();
	ksft_must(pread(map_fd, entries, want, addr / PAGE_SIZE * 8) == want);
	for (i = 0; i < SCAN_PAGES; i++) {
		if (entries[i] & PM_SOFT_DIRTY)
			svm_runs_add(&runs, addr + i * PAGE_SIZE, 1, 0);
	}
	ksft_must(write(refs_fd, "4", 1) == 1);
	start = sys_now_ns() - start;
	found = runs.nr;
	svm_runs_free(&runs);
	close(map_fd);
	close(refs_fd);
	scan_check(found);
	return start / 1e9;
}

static double scan_tracked(void)
{
	struct svm_runs runs = {};
	struct svm s;
	__u64 start;

	svm_open(&s, target.pid, true);
	svm_epoch(&s);
	ksft_must(!svm_scan(&s, SPLICE_VM_SCAN_TRACKED, 0, SVM_END, 4096,
			    &runs));
	runs.nr = 0;
	scan_touch();
	start = sys_now_ns();
	svm_epoch(&s);
	ksft_must(!svm_scan(&s, SPLICE_VM_SCAN_TRACKED, addr,
			    addr + BENCH_BYTES, 4096, &runs));
	start = sys_now_ns() - start;
	scan_check(svm_runs_pages(&runs, SPLICE_VM_RUN_DIRTY, 0));
	svm_runs_free(&runs);
	svm_close(&s);
	return start / 1e9;
}

int main(void)
{
	struct bench_way pagemap = {
		.name = "pagemap + clear_refs, every 16th written",
		.run = scan_pagemap,
	};
	struct bench_way tracked = {
		.name = "clear_refs + SCAN, every 16th written",
		.run = scan_tracked,
	};

	entries = malloc(SCAN_PAGES * sizeof(*entries));
	ksft_must(entries);
	addr = bench_target(&target);
	/* Pages on a CPU's private list look as if somebody held them. */
	sys_drain_lru();
	dirty = true;
	bench_compare("scan_vs_pagemap", &pagemap, &tracked);
	dirty = false;
	pagemap.name = "pagemap + clear_refs, nothing written";
	tracked.name = "clear_refs + SCAN, nothing written";
	bench_compare("scan_vs_pagemap_idle", &pagemap, &tracked);
	target_stop(&target);
	return 0;
}
