// SPDX-License-Identifier: GPL-2.0
/*
 * How much a program slows down in pre-copy. Its thread has a CPU of its own and touches random
 * pages of 1 GiB: an operation reads a page, and each one, or every tenth, writes a word of it. On
 * the other CPU the pages are sent by SEND in rounds, all of them and then those that were written,
 * to a receiver that discards. The write-protect tracker takes a round by parts, as the helper does. The baseline is the same program while as many bytes go to such a
 * receiver from tmpfs. A figure is operations a second over operations a second.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

#define PRECOPY_BYTES	(1UL << 30)
#define PRECOPY_ROUNDS	3
#define PRECOPY_WORDS	(PAGE_SIZE / sizeof(long))

/**
 * struct precopy_shared - what the target and this program know of its thread
 * @addr: of the memory
 * @every: so many operations to one that writes
 * @ops: operations so far
 * @stop: the thread is to end
 * @thread: the target's
 */
struct precopy_shared {
	unsigned long addr;
	unsigned long every;
	unsigned long ops;
	int stop;
	pthread_t thread;
};

/**
 * struct precopy_tracker - pre-copy with one tracker
 * @id: SPLICE_VM_TRACKER_*
 * @figure: its name
 * @rate: operations a second in pre-copy, of each run
 * @baseline: while the same bytes come from tmpfs
 * @bytes: sent in the last run
 */
struct precopy_tracker {
	unsigned int id;
	const char *figure;
	double rate[BENCH_RUNS];
	double baseline[BENCH_RUNS];
	__u64 bytes;
};

static struct precopy_tracker trackers[] = {
	{ .id = SPLICE_VM_TRACKER_EVENTS, .figure = "precopy_slowdown" },
	{ .id = SPLICE_VM_TRACKER_SOFT_DIRTY, .figure = "precopy_slowdown_soft_dirty" },
};

static struct target target;
static struct precopy_shared *shared;
/* Closed when the time is taken: a tracker is given up while the program is frozen. */
static struct svm svm;
static int file;

static void precopy_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ksft_must(!sched_setaffinity(0, sizeof(set), &set));
}

static void *precopy_thread(void *arg)
{
	struct precopy_shared *sh = arg;
	unsigned long i, sum = 0;
	__u64 seed = 1;

	precopy_pin(1);
	while (!READ_ONCE(sh->stop)) {
		long *page = (long *)(sh->addr + sys_random(&seed) %
				      (PRECOPY_BYTES / PAGE_SIZE) * PAGE_SIZE);

		for (i = 0; i < PRECOPY_WORDS; i++)
			sum += READ_ONCE(page[i]);
		if (sh->ops % sh->every == 0)
			WRITE_ONCE(page[sum % PRECOPY_WORDS], sum);
		WRITE_ONCE(sh->ops, sh->ops + 1);
	}
	return NULL;
}

static long precopy_thread_start(const unsigned long *args)
{
	struct precopy_shared *sh = (void *)args[0];

	return pthread_create(&sh->thread, NULL, precopy_thread, sh);
}

static long precopy_thread_stop(const unsigned long *args)
{
	struct precopy_shared *sh = (void *)args[0];

	WRITE_ONCE(sh->stop, 1);
	return pthread_join(sh->thread, NULL);
}

static void precopy_send_runs(void *ctx, const struct svm_runs *runs)
{
	struct svm_send *send = ctx;

	ksft_must(!svm_send_all(&svm, send, runs->v, runs->nr));
	svm_runs_free(&send->results);
}

static void precopy_round(struct svm *s, struct svm_send *send, unsigned int tracker)
{
	__u64 start = shared->addr, end = start + PRECOPY_BYTES;
	struct svm_runs runs = {};

	if (tracker == SPLICE_VM_TRACKER_EVENTS) {
		svm_scan_parts(s, start, end, SVM_PART_PAGES, precopy_send_runs, send);
		return;
	}
	svm_epoch(s);
	ksft_must(!svm_scan(s, SPLICE_VM_SCAN_TRACKED, start, end, 4096, &runs));
	precopy_send_runs(send, &runs);
	svm_runs_free(&runs);
}

static void precopy_send(struct precopy_tracker *tracker, int sock)
{
	struct svm_send send = { .sock = sock };
	int i;

	svm_open(&svm, target.pid, false);
	ksft_must(!svm_start_tracker(&svm, tracker->id));
	for (i = 0; i < PRECOPY_ROUNDS; i++)
		precopy_round(&svm, &send, tracker->id);
	tracker->bytes = send.bytes;
}

static void precopy_send_file(struct precopy_tracker *tracker, int sock)
{
	__u64 left = tracker->bytes;

	while (left) {
		off_t pos = 0;
		__u64 len = left < PRECOPY_BYTES ? left : PRECOPY_BYTES;
		ssize_t sent = sendfile(sock, file, &pos, len);

		ksft_must(sent > 0);
		left -= sent;
	}
}

/* Return: operations a second while @send runs */
static double precopy_rate(struct precopy_tracker *tracker,
			   void (*send)(struct precopy_tracker *tracker, int sock))
{
	struct bench_reader r;
	unsigned long ops;
	__u64 start;
	double rate;

	bench_reader_start(&r, true);
	/* Else entries that the tracker before left clean would make the baseline slower. */
	target_fill(&target, shared->addr, PRECOPY_BYTES, 1);
	start = sys_now_ns();
	ops = READ_ONCE(shared->ops);
	send(tracker, r.sock);
	rate = (READ_ONCE(shared->ops) - ops) * 1e9 / (sys_now_ns() - start);
	bench_reader_finish(&r);
	return rate;
}

static void precopy_file_make(void)
{
	static char data[1 << 20];
	size_t done;

	file = memfd_create("bench", MFD_CLOEXEC);
	ksft_must(file >= 0);
	memset(data, 1, sizeof(data));
	for (done = 0; done < PRECOPY_BYTES; done += sizeof(data))
		ksft_must(write(file, data, sizeof(data)) == sizeof(data));
}

static void precopy_report(struct precopy_tracker *tracker, const char *suffix)
{
	double ratio[BENCH_RUNS];
	char name[64];
	int i;

	for (i = 0; i < BENCH_RUNS; i++)
		ratio[i] = tracker->rate[i] / tracker->baseline[i];
	snprintf(name, sizeof(name), "%s%s", tracker->figure, suffix);
	bench_spread("operations/s in pre-copy", tracker->rate);
	bench_spread("operations/s while tmpfs is sent", tracker->baseline);
	bench_spread(name, ratio);
	bench_figure(name, bench_median(ratio), "x");
}

/* Once with each tracker, in turn. */
static void precopy_run(int run)
{
	double rate, baseline;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(trackers); i++) {
		if (!svm_has_tracker(trackers[i].id))
			continue;
		rate = precopy_rate(&trackers[i], precopy_send);
		svm_close(&svm);
		baseline = precopy_rate(&trackers[i], precopy_send_file);
		if (run < 0)
			continue;
		trackers[i].rate[run] = rate;
		trackers[i].baseline[run] = baseline;
	}
}

static void precopy_program(unsigned long every, const char *suffix)
{
	size_t i;
	int run;

	shared->every = every;
	shared->stop = 0;
	printf("# one operation of %lu writes%16s %8s %8s %8s\n", every, "", "least", "median",
	       "most");
	ksft_must(!target_do(&target, precopy_thread_start, (long)shared));
	for (run = -1; run < BENCH_RUNS; run++)
		precopy_run(run);
	ksft_must(!target_do(&target, precopy_thread_stop, (long)shared));
	for (i = 0; i < ARRAY_SIZE(trackers); i++) {
		if (svm_has_tracker(trackers[i].id))
			precopy_report(&trackers[i], suffix);
	}
}

int main(void)
{
	target_start(&target);
	shared = target.shared;
	shared->addr = target_map(&target, PRECOPY_BYTES, MADV_NOHUGEPAGE);
	precopy_file_make();
	precopy_pin(0);
	precopy_program(1, "");
	precopy_program(10, "_tenth");
	target_stop(&target);
	return 0;
}
