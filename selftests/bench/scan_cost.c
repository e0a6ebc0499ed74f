// SPDX-License-Identifier: GPL-2.0
/*
 * What a SCAN costs goes by what is dirty and by page tables, not by address space: a mapping
 * of 64 GiB of which 64 MiB are used, over one of 64 MiB. Reserved in two ways: writable from
 * the start, and inaccessible but for the part that is used. The worse one counts.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

#define COST_USED	(64UL << 20)
#define COST_RESERVED	(64UL << 30)
#define COST_PAGES	(COST_USED / PAGE_SIZE)
#define COST_STEP	16UL
/* Epochs in one run: a single SCAN is short. */
#define COST_EPOCHS	20

/* What is timed: the end of an epoch and SCAN; of that SCAN alone; and other SCANs. */
enum { COST_ROUND, COST_TRACKED, COST_FIRST, COST_POPULATED, COSTS };

/**
 * struct cost_layout - a target
 * @name: for the table
 * @len: of the whole mapping
 * @prot_none: only what is used is accessible
 * @start: of the mapping
 * @used: where what is used begins
 * @seconds: of each run
 */
struct cost_layout {
	const char *name;
	size_t len;
	bool prot_none;
	struct target target;
	unsigned long start;
	unsigned long used;
	double seconds[COSTS][BENCH_RUNS];
};

static struct cost_layout layouts[] = {
	{ "64 MiB", .len = COST_USED },
	{ "64 GiB, not reserved", .len = COST_RESERVED },
	{ "64 GiB, inaccessible", .len = COST_RESERVED, .prot_none = true },
};

static const char * const cost_names[COSTS] = {
	[COST_ROUND] = "scan_cost_per_dirty",
	[COST_TRACKED] = "scan_cost_per_dirty_tracked",
	[COST_FIRST] = "scan_cost_per_dirty_first",
	[COST_POPULATED] = "scan_cost_per_dirty_populated",
};

static long cost_touch(const unsigned long *args)
{
	unsigned long i;

	for (i = 0; i < COST_PAGES; i += COST_STEP)
		WRITE_ONCE(*(long *)(args[0] + i * PAGE_SIZE), i);
	return 0;
}

static void cost_start(struct cost_layout *l)
{
	target_start(&l->target);
	l->start = target_map(&l->target, l->len, MADV_NOHUGEPAGE);
	l->used = l->start + (l->len - COST_USED) / 2;
	if (l->prot_none) {
		ksft_must(!target_sys(&l->target, SYS_mprotect, l->start, l->len,
				      PROT_NONE));
		ksft_must(!target_sys(&l->target, SYS_mprotect, l->used,
				      COST_USED, PROT_READ | PROT_WRITE));
	}
	target_fill(&l->target, l->used, COST_USED, 1);
}

/* Seconds of a SCAN of all of it, which must find so many pages. */
static double cost_scan(struct cost_layout *l, struct svm *s, __u32 how,
			__u32 flag, unsigned long want)
{
	struct svm_runs runs = {};
	__u64 start = sys_now_ns();
	unsigned long found;

	ksft_must(!svm_scan(s, how, l->start, l->start + l->len, 4096, &runs));
	start = sys_now_ns() - start;
	found = svm_runs_pages(&runs, flag, 0);
	/* A few pages may be held by somebody; a SCAN that finds too little is void. */
	if (found < want || found > want + COST_PAGES / 100)
		ksft_exit_fail_msg("%s: %lu pages, not %lu\n", l->name, found,
				   want);
	svm_runs_free(&runs);
	return start / 1e9;
}

/* The first epoch also has what was written before tracking began. */
static void cost_drain(struct svm *s)
{
	struct svm_runs runs = {};

	ksft_must(!svm_scan(s, SPLICE_VM_SCAN_TRACKED, 0, SVM_END, 4096, &runs));
	svm_runs_free(&runs);
}

static void cost_run(struct cost_layout *l, __u32 tracker,
		     double seconds[COSTS])
{
	struct svm s;
	__u64 start;
	int i;

	for (i = 0; i < COSTS; i++)
		seconds[i] = 0;
	svm_use_tracker(tracker);
	svm_open(&s, l->target.pid, true);
	seconds[COST_FIRST] = cost_scan(l, &s, SPLICE_VM_SCAN_TRACKED,
					SPLICE_VM_RUN_DIRTY, COST_PAGES);
	for (i = 0; i < COST_EPOCHS + 1; i++) {
		target_do(&l->target, cost_touch, l->used);
		start = sys_now_ns();
		/* With the write-protect tracker a SCAN ends the epoch. */
		if (tracker != SPLICE_VM_TRACKER_EVENTS)
			svm_epoch(&s);
		if (!i) {
			cost_drain(&s);
			continue;
		}
		seconds[COST_ROUND] += (sys_now_ns() - start) / 1e9;
		seconds[COST_TRACKED] +=
			cost_scan(l, &s, SPLICE_VM_SCAN_TRACKED,
				  SPLICE_VM_RUN_DIRTY, COST_PAGES / COST_STEP);
		seconds[COST_POPULATED] +=
			cost_scan(l, &s, SPLICE_VM_SCAN_POPULATED,
				  SPLICE_VM_RUN_PRESENT, COST_PAGES);
	}
	seconds[COST_ROUND] += seconds[COST_TRACKED];
	svm_close(&s);
}

static void cost_report(int what, const char *suffix)
{
	char name[64];
	double base = bench_median(layouts[0].seconds[what]);
	double ratio, worst = 0;
	size_t i;

	snprintf(name, sizeof(name), "%s%s", cost_names[what], suffix);
	for (i = 0; i < ARRAY_SIZE(layouts); i++) {
		ratio = bench_median(layouts[i].seconds[what]) / base;
		printf("# %-38s %-22s %9.3f ms\n", name,
		       layouts[i].name, ratio * base * 1e3);
		if (i && ratio > worst)
			worst = ratio;
	}
	bench_figure(name, worst, "x");
}

static void cost_tracker(__u32 tracker, const char *suffix)
{
	double seconds[COSTS];
	size_t i, what;
	int run;

	for (run = -1; run < BENCH_RUNS; run++) {
		for (i = 0; i < ARRAY_SIZE(layouts); i++) {
			cost_run(&layouts[i], tracker, seconds);
			for (what = 0; run >= 0 && what < COSTS; what++)
				layouts[i].seconds[what][run] = seconds[what];
		}
	}
	for (what = 0; what < COSTS; what++)
		cost_report(what, suffix);
}

int main(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(layouts); i++)
		cost_start(&layouts[i]);
	sys_drain_lru();
	if (svm_has_tracker(SPLICE_VM_TRACKER_SOFT_DIRTY))
		cost_tracker(SPLICE_VM_TRACKER_SOFT_DIRTY, "");
	if (svm_has_tracker(SPLICE_VM_TRACKER_EVENTS))
		cost_tracker(SPLICE_VM_TRACKER_EVENTS, "_protect");
	for (i = 0; i < ARRAY_SIZE(layouts); i++)
		target_stop(&layouts[i].target);
	return 0;
}
