// SPDX-License-Identifier: GPL-2.0
/*
 * The longest that one write of the target takes while an epoch ends, per GiB that it has: a thread
 * of it writes all the time, to pages that it has and to ones it never had, and notes
 * the slowest. For each tracker that the module offers: in the first epoch, in one in which every
 * page was written, in one in which none was; and while the write-protect tracker is given up, in
 * steps, and as the kernel does it at the last close. For comparison clear_refs with nobody
 * tracking, and no end of an epoch at all, which shows what else stalls this machine. The trackers
 * take turns, each on a target of its own.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

#define STALL_BYTES	(1UL << 30)
#define STALL_FRESH	(64UL << 20)
/* The thread runs so long before and after the epoch ends. */
#define STALL_EDGE_US	5000

/* What happens while the thread writes. */
enum {
	STALL_NOTHING,
	STALL_ALONE,
	STALL_FIRST,
	STALL_WRITTEN,
	STALL_CLEAN,
	STALL_GIVE_UP,
	STALL_CLOSE,
	STALLS
};

static const char * const stall_names[STALLS] = {
	[STALL_NOTHING] = "noise",
	[STALL_ALONE] = "clear_refs",
	[STALL_FIRST] = "first",
	[STALL_WRITTEN] = "",
	[STALL_CLEAN] = "clean",
	[STALL_GIVE_UP] = "give_up",
	[STALL_CLOSE] = "close",
};

/* Shared with the target. */
struct stall_shared {
	unsigned long addr;
	unsigned long fresh;
	unsigned long writes;
	__u64 longest;
	int stop;
	pthread_t thread;
};

static void stall_drain(struct svm *s)
{
	struct svm_runs runs = {};

	ksft_must(!svm_scan(s, SPLICE_VM_SCAN_TRACKED, 0, SVM_END, 4096, &runs));
	svm_runs_free(&runs);
}

static void stall_ignore(void *ctx, const struct svm_runs *runs)
{
	(void)ctx;
	(void)runs;
}

/* A round by parts, all parts one right after the other: nothing is sent between them. */
static void stall_parts(struct svm *s)
{
	svm_scan_parts(s, 0, SVM_END, SVM_PART_PAGES, stall_ignore, NULL);
}

/**
 * struct stall_tracker - how a tracker's epochs end
 * @id: SPLICE_VM_TRACKER_*
 * @suffix: of the figures' names
 * @epoch: what the helper does then
 * @alone: which it can do without tracking, too
 * @protects: and giving it up lifts the protection
 */
struct stall_tracker {
	unsigned int id;
	const char *suffix;
	void (*epoch)(struct svm *s);
	bool alone;
	bool protects;
};

static const struct stall_tracker trackers[] = {
	{ SPLICE_VM_TRACKER_SOFT_DIRTY, "", svm_epoch, true, false },
	{ SPLICE_VM_TRACKER_EVENTS, "_protect", stall_parts, false, true },
};

/* A target for each tracker: write-protection splits huge pages for good. */
static struct target targets[ARRAY_SIZE(trackers)];
/* Whose turn it is. */
static struct target *target;
static struct stall_shared *shared;
/* In nanoseconds, of each tracker. */
static double took[ARRAY_SIZE(trackers)][STALLS][BENCH_RUNS];

static __u64 stall_write(unsigned long addr)
{
	__u64 start = sys_now_ns();

	WRITE_ONCE(*(long *)addr, start);
	return sys_now_ns() - start;
}

static void *stall_thread(void *arg)
{
	struct stall_shared *sh = arg;
	unsigned long fresh = 0;
	__u64 seed = 1, took, longest = 0;

	while (!READ_ONCE(sh->stop)) {
		took = stall_write(sh->addr + sys_random(&seed) %
				   (STALL_BYTES / PAGE_SIZE) * PAGE_SIZE);
		if (took > longest)
			longest = took;
		took = stall_write(sh->fresh + fresh);
		if (took > longest)
			longest = took;
		fresh += PAGE_SIZE;
		if (fresh == STALL_FRESH) {
			madvise((void *)sh->fresh, STALL_FRESH, MADV_DONTNEED);
			fresh = 0;
		}
		WRITE_ONCE(sh->writes, sh->writes + 2);
	}
	sh->longest = longest;
	return NULL;
}

static long stall_thread_start(const unsigned long *args)
{
	struct stall_shared *sh = (void *)args[0];

	sh->stop = 0;
	sh->writes = 0;
	return pthread_create(&sh->thread, NULL, stall_thread, sh);
}

static long stall_thread_stop(const unsigned long *args)
{
	struct stall_shared *sh = (void *)args[0];

	WRITE_ONCE(sh->stop, 1);
	return pthread_join(sh->thread, NULL);
}

static long stall_touch(const unsigned long *args)
{
	unsigned long i;

	for (i = 0; i < STALL_BYTES; i += PAGE_SIZE)
		WRITE_ONCE(*(long *)(args[0] + i), i);
	return 0;
}

/* Return: nanoseconds of the slowest write while @epoch runs, if there is one */
static __u64 stall_measure(struct svm *s, void (*epoch)(struct svm *s))
{
	ksft_must(!target_do(target, stall_thread_start, (long)shared));
	while (READ_ONCE(shared->writes) < 1000)
		sys_sleep_us(100);
	sys_sleep_us(STALL_EDGE_US);
	if (epoch)
		epoch(s);
	sys_sleep_us(STALL_EDGE_US);
	ksft_must(!target_do(target, stall_thread_stop, (long)shared));
	return shared->longest;
}

static void stall_track(struct svm *s, unsigned int tracker)
{
	svm_open(s, target->pid, false);
	if (svm_start_tracker(s, tracker))
		ksft_die("TRACK");
}

static void stall_give_up(struct svm *s)
{
	ksft_must(!svm_stop_tracker(s));
}

/* What the kernel does when whoever tracked is killed and nobody has duplicates. */
static void stall_close(struct svm *s)
{
	ksft_must(!svm_track_with(s->fd, SPLICE_VM_TRACKER_NONE));
	close(s->wp.cover.uffd);
	s->wp.cover.uffd = -1;
	ksft_must(!svm_stop_tracker(s));
}

/* All of it is protected, and then no longer. */
static __u64 stall_end(const struct stall_tracker *tracker,
		       void (*end)(struct svm *s))
{
	struct svm s;
	__u64 took;

	stall_track(&s, tracker->id);
	stall_drain(&s);
	stall_drain(&s);
	took = stall_measure(&s, end);
	svm_close(&s);
	return took;
}

static void stall_run(const struct stall_tracker *tracker, double one[STALLS])
{
	struct svm s;

	target_do(target, stall_touch, shared->addr);
	one[STALL_NOTHING] = stall_measure(NULL, NULL);

	/* Attached: what the end of an epoch costs is due to the tracker, not to that. */
	svm_open(&s, target->pid, false);
	one[STALL_ALONE] = stall_measure(&s, tracker->alone ? tracker->epoch :
							       NULL);
	svm_close(&s);

	target_do(target, stall_touch, shared->addr);
	stall_track(&s, tracker->id);
	one[STALL_FIRST] = stall_measure(&s, tracker->epoch);
	stall_drain(&s);
	tracker->epoch(&s);
	stall_drain(&s);
	target_do(target, stall_touch, shared->addr);
	one[STALL_WRITTEN] = stall_measure(&s, tracker->epoch);
	stall_drain(&s);
	one[STALL_CLEAN] = stall_measure(&s, tracker->epoch);
	svm_close(&s);
	if (!tracker->protects)
		return;
	one[STALL_GIVE_UP] = stall_end(tracker, stall_give_up);
	one[STALL_CLOSE] = stall_end(tracker, stall_close);
}

static void stall_report(const struct stall_tracker *tracker, const char *pages)
{
	double gib = (double)STALL_BYTES / (1UL << 30), median, *runs;
	char name[64];
	int i;

	for (i = 0; i < STALLS; i++) {
		if ((i == STALL_ALONE && !tracker->alone) ||
		    (i >= STALL_GIVE_UP && !tracker->protects))
			continue;
		runs = took[tracker - trackers][i];
		median = bench_median(runs);
		snprintf(name, sizeof(name), "epoch_stall_us_%s%s%s%s", pages,
			 tracker->suffix, *stall_names[i] ? "_" : "",
			 stall_names[i]);
		printf("# %-32s %9.0f %9.0f %9.0f us\n", name, runs[0] / 1e3,
		       median / 1e3, runs[BENCH_RUNS - 1] / 1e3);
		bench_figure(name, median / 1e3 / gib, "us/GiB");
	}
}

/* One stall over another, of runs that took turns, as the ratio of their medians. */
static void stall_ratio(const char *name, const double a[BENCH_RUNS],
			const double b[BENCH_RUNS])
{
	double x[BENCH_RUNS], y[BENCH_RUNS], ratios[BENCH_RUNS];
	int i;

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	for (i = 0; i < BENCH_RUNS; i++)
		ratios[i] = a[i] / b[i];
	bench_spread(name, ratios);
	bench_figure(name, bench_median(x) / bench_median(y), "x");
}

/* A round of the one tracker over one of the other; and giving that up, over its round. */
static void stall_ratios(void)
{
	if (!svm_has_tracker(trackers[0].id) || !svm_has_tracker(trackers[1].id))
		return;
	stall_ratio("round_stall_ratio", took[0][STALL_WRITTEN], took[1][STALL_WRITTEN]);
	stall_ratio("give_up_stall_ratio", took[1][STALL_GIVE_UP], took[1][STALL_WRITTEN]);
}

static void stall_turn(size_t tracker)
{
	target = &targets[tracker];
	shared = target->shared;
}

static void stall_start(int advice)
{
	target_start(target);
	shared = target->shared; /* made just now */
	shared->addr = target_map(target, STALL_BYTES, advice);
	shared->fresh = target_map(target, STALL_FRESH, MADV_NOHUGEPAGE);
	target_fill(target, shared->addr, STALL_BYTES, 1);
	if (advice == MADV_HUGEPAGE && !sys_is_thp(target->pid, shared->addr))
		ksft_exit_fail_msg("no huge pages\n");
}

static void stall_runs(int run)
{
	double one[STALLS] = {};
	size_t t;
	int i;

	for (t = 0; t < ARRAY_SIZE(trackers); t++) {
		if (!svm_has_tracker(trackers[t].id))
			continue;
		stall_turn(t);
		stall_run(&trackers[t], one);
		for (i = 0; run >= 0 && i < STALLS; i++)
			took[t][i][run] = one[i];
	}
}

static void stall_pages(const char *pages, int advice)
{
	size_t t;
	int run;

	for (t = 0; t < ARRAY_SIZE(trackers); t++) {
		stall_turn(t);
		if (svm_has_tracker(trackers[t].id))
			stall_start(advice);
	}
	sys_drain_lru();
	for (run = -1; run < BENCH_RUNS; run++)
		stall_runs(run);
	/* Before the reports, which put the runs in order. */
	if (advice == MADV_NOHUGEPAGE)
		stall_ratios();
	for (t = 0; t < ARRAY_SIZE(trackers); t++) {
		if (!svm_has_tracker(trackers[t].id))
			continue;
		stall_report(&trackers[t], pages);
		target_stop(&targets[t]);
	}
}

/* A tracker that this program does not know would go unmeasured. */
static void stall_check_trackers(void)
{
	unsigned int id;
	size_t t;

	for (id = SPLICE_VM_TRACKER_NONE + 1; id < 64; id++) {
		if (!svm_has_tracker(id) || id == SPLICE_VM_TRACKER_AUTO)
			continue;
		for (t = 0; t < ARRAY_SIZE(trackers); t++) {
			if (trackers[t].id == id)
				break;
		}
		if (t == ARRAY_SIZE(trackers))
			ksft_exit_fail_msg("nobody knows how epochs of tracker %u end\n", id);
	}
}

int main(void)
{
	stall_check_trackers();
	stall_pages("4k", MADV_NOHUGEPAGE);
	stall_pages("thp", MADV_HUGEPAGE);
	return 0;
}
