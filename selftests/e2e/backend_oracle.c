// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle for the helper's backends: a mirror built from the runs and pages of a backend must
 * equal the task's memory in the end. The task is the one of selftests/mirror. Besides its writers,
 * KSM merges its pages, the task moves whole page tables, and direct I/O writes to its pinned huge
 * pages.
 *
 *	backend_oracle [--runs N] [--seconds N] [--seed N] [--module TRACKER] [--parts]
 *		       [--no-freeze] [--no-last] [--early] [--lossy]
 *
 * --module: the backend with the module, with this tracker; the default is the one without.
 * --parts: two of three rounds by parts, as a program that is alone has all of them.
 * Controls: --no-freeze: the task runs on between the two steps of the tracker without the module;
 * --no-last: no last scan of the frozen task; --early: a part's pages are sent before the part is taken.
 * --lossy: passes only if a run loses pages; for the controls, and for a tracker that is built with a fault.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "backend/backend.h"
#include "ksft.h"
#include "mirror_compare.h"
#include "mirror_load.h"
#include "os/cgroup_members.h"
#include "sys.h"
#include "target.h"
#include "wire/conn.h"
#include "wire/stream.h"

#define USER_TOP	(1UL << 47)
#define RUNS_AT_ONCE	512
#define MIN_ROUNDS	10
#define COMPACT_ROUNDS	4
#define PART_ROUNDS	3
#define NS_PER_S	1000000000ULL
#define PATIENCE	10	/* times as long, for kinds of change that are rare on a busy machine */
#define PART_PAGES	128		/* listed ones of a part */

/** struct list - of runs */
struct list {
	struct splice_vm_run *v;
	size_t nr, cap;
};

/**
 * struct follow - a mirror and how it is kept up
 * @came: posted when a round has been received
 * @buf: for the backend
 * @dirty: runs of the round, or of its part; @listed: of the list with which a round by parts begins
 * @stood_ns: for looks
 */
struct follow {
	struct backend *backend;
	struct mirror m;
	struct cgroup group;
	struct conn here, there;
	pthread_t receiver;
	sem_t came;
	void *buf;
	struct list dirty, listed;
	unsigned long rounds, parts, pages;
	__u64 stood_ns;
};

static bool freezes = true, last = true, by_parts, early;
static enum backend_kind kind = BACKEND_VMREAD;
static enum backend_tracker tracker;

static void must(int ret, const struct error *err)
{
	if (ret)
		ksft_exit_fail_msg("%s\n", err->what);
}

/* The module's tracker needs nobody to stand. */
static void follow_look(struct follow *f, bool stands)
{
	__u64 begin = sys_now_ns();
	struct error err = { 0 };

	if (!f->backend->ops->look)
		return;
	if (freezes && !stands)
		must(cgroup_freeze(&f->group, &err), &err);
	f->backend->ops->look(f->backend, stands);
	if (freezes && !stands)
		must(cgroup_thaw(&f->group, &err), &err);
	if (!stands)
		f->stood_ns += sys_now_ns() - begin;
}

static void take_pages(struct follow *f, const struct frame *frame, struct error *err)
{
	for (uint32_t i = 0; i < frame->nr_runs; i++) {
		for (uint32_t j = 0; j < frame->runs[i].nr_pages; j++) {
			__u64 addr = frame->runs[i].addr + j * PAGE_SIZE;

			must(conn_read(&f->there, mirror_put(&f->m, addr)->data, PAGE_SIZE, 0, err),
			     err);
		}
	}
}

static void *receiver_run(void *arg)
{
	struct frame frame = { 0 };
	struct error err = { 0 };
	struct follow *f = arg;
	int ret;

	while ((ret = frame_recv(&f->there, -1, &frame, &err)) == 1) {
		if (frame.kind == FRAME_PAGES)
			take_pages(f, &frame, &err);
		else if (frame.kind == FRAME_ROUND)
			sem_post(&f->came);
		else
			ksft_exit_fail_msg("frame %#x\n", frame.kind);
	}
	must(ret, &err);
	frame_free(&frame);
	return NULL;
}

/* The target is a child of ours: it goes into a group of its own, and its children are born there. */
static void follow_start(struct follow *f, pid_t pid)
{
	const struct backend_hold hold = { .in_calls = false };
	struct error err = { 0 };
	int pair[2];

	memset(f, 0, sizeof(*f));
	if (cgroup_plan(&f->group, pid, CGROUP_BELOW, "backend-oracle"))
		ksft_exit_fail_msg("no control group can freeze the target\n");
	must(cgroup_make(&f->group, &err), &err);
	ksft_must(!cgroup_add(&f->group, pid));
	mirror_init(&f->m);
	sem_init(&f->came, 0, 0);
	f->buf = malloc(FRAME_MAX_PAGES * PAGE_SIZE);
	ksft_must(f->buf && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	f->here = (struct conn){ .fd = pair[0] };
	f->there = (struct conn){ .fd = pair[1] };
	ksft_must(!pthread_create(&f->receiver, NULL, receiver_run, f));
	f->backend = backend_open(kind, tracker, pid, &hold, &err);
	if (!f->backend)
		ksft_exit_fail_msg("%s\n", err.what);
	if (by_parts && !f->backend->by_parts)
		ksft_exit_fail_msg("the backend takes no parts\n");
	if (!f->backend->tracks)
		ksft_exit_fail_msg("no tracker: %s\n", f->backend->why);
	must(f->backend->ops->track(f->backend, &err), &err);
}

static void follow_end(struct follow *f)
{
	shutdown(f->here.fd, SHUT_WR);
	pthread_join(f->receiver, NULL);
	conn_close(&f->here);
	conn_close(&f->there);
	backend_close(f->backend);
	free(f->buf);
	free(f->dirty.v);
	free(f->listed.v);
	mirror_free(&f->m);
}

static void list_add(struct list *list, const struct splice_vm_run *run)
{
	if (list->nr == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 1024;
		list->v = realloc(list->v, list->cap * sizeof(*list->v));
		ksft_must(list->v);
	}
	list->v[list->nr++] = *run;
}

static int take_scan(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	struct follow *f = ctx;

	for (uint32_t i = 0; i < nr; i++) {
		if (runs[i].flags & SPLICE_VM_RUN_DROPPED)
			mirror_drop(&f->m, runs[i].addr, runs[i].nr_pages);
		else
			list_add(&f->dirty, &runs[i]);
	}
	return 0;
}

static int take_list(void *ctx, const struct splice_vm_run *runs, uint32_t nr, struct error *err)
{
	struct follow *f = ctx;

	for (uint32_t i = 0; i < nr; i++)
		list_add(&f->listed, &runs[i]);
	return 0;
}

/* Of what was sent the frames tell. */
static int take_results(void *ctx, const struct splice_vm_run *runs, uint32_t nr,
			struct error *err)
{
	struct follow *f = ctx;

	for (uint32_t i = 0; i < nr; i++) {
		f->pages += runs[i].nr_pages;
		if (!(runs[i].flags & SPLICE_VM_RUN_SENT))
			/* later, when the receiver has come so far */
			list_add(&f->dirty, &runs[i]);
	}
	return 0;
}

/* What could not be sent: copied, or forgotten. */
static void follow_rest(struct follow *f, const struct splice_vm_run *run)
{
	struct error err = { 0 };
	size_t done;

	for (uint32_t i = 0; i < run->nr_pages; i++) {
		__u64 addr = run->addr + i * PAGE_SIZE;
		char page[PAGE_SIZE];

		done = 0;
		if (run->flags & SPLICE_VM_RUN_SLOW)
			must(f->backend->ops->read(f->backend, addr, page, PAGE_SIZE, &done, &err),
			     &err);
		if (done == PAGE_SIZE)
			memcpy(mirror_put(&f->m, addr)->data, page, PAGE_SIZE);
		else
			mirror_drop(&f->m, addr, 1);
	}
}

/* All dirty runs; the stream is empty before and after. */
static void follow_send(struct follow *f)
{
	struct backend_send send = { .conn = &f->here, .buf = f->buf };
	struct error err = { 0 };
	size_t nr = f->dirty.nr;

	for (size_t i = 0; i < nr; i += RUNS_AT_ONCE) {
		uint32_t n = nr - i < RUNS_AT_ONCE ? nr - i : RUNS_AT_ONCE;
		struct splice_vm_run runs[RUNS_AT_ONCE];

		/* the results may move the list */
		memcpy(runs, f->dirty.v + i, n * sizeof(*runs));
		must(f->backend->ops->send(f->backend, &send, runs, n, take_results, f, &err), &err);
	}
	must(frame_send(&f->here, FRAME_ROUND, 0, NULL, 0, &err), &err);
	sem_wait(&f->came);
	for (size_t i = nr; i < f->dirty.nr; i++)
		follow_rest(f, &f->dirty.v[i]);
}

static void follow_round(struct follow *f, bool stands)
{
	struct error err = { 0 };

	f->dirty.nr = 0;
	follow_look(f, stands);
	must(f->backend->ops->scan(f->backend, take_scan, f, &err), &err);
	follow_send(f);
	f->rounds++;
}

/* @runs: what was listed of it */
static void follow_part(struct follow *f, __u64 start, __u64 end, const struct splice_vm_run *runs,
			size_t nr)
{
	struct error err = { 0 };

	f->dirty.nr = 0;
	for (size_t i = 0; early && i < nr; i++)
		list_add(&f->dirty, &runs[i]);
	if (early)
		follow_send(f);
	must(f->backend->ops->scan_part(f->backend, start, end, take_scan, f, &err), &err);
	if (!early)
		follow_send(f);
	f->parts++;
}

/* Return: where the part ends that begins with the run @i; @i: the first run behind it */
static __u64 part_end(const struct list *listed, size_t *i)
{
	__u64 end = USER_TOP, pages = 0;

	for (; *i < listed->nr && pages < PART_PAGES; ++*i) {
		pages += listed->v[*i].nr_pages;
		end = listed->v[*i].addr + listed->v[*i].nr_pages * PAGE_SIZE;
	}
	if (*i == listed->nr)
		return USER_TOP;
	end = (end + PMD_SIZE - 1) & ~(PMD_SIZE - 1);
	while (*i < listed->nr && listed->v[*i].addr < end)
		++*i;
	return end;
}

static void follow_round_by_parts(struct follow *f)
{
	struct error err = { 0 };
	__u64 start = 0, end;
	size_t i = 0;

	f->listed.nr = 0;
	must(f->backend->ops->list(f->backend, take_list, f, &err), &err);
	for (; start < USER_TOP; start = end) {
		size_t first = i;

		end = part_end(&f->listed, &i);
		follow_part(f, start, end, f->listed.v + first, i - first);
	}
	f->rounds++;
}

/* Return: a kind of change that has not happened, or NULL */
static const char *missing_op(const struct load_counts *n)
{
	for (int i = 0; i < LOAD_OPS; i++)
		if (!n->ops[i])
			return load_op_names[i];
	return NULL;
}

/* Return: pages that the mirror has wrong */
static unsigned long oracle_run(const struct load_config *config, unsigned int seconds,
				const char **missing)
{
	static struct follow f;
	struct error err = { 0 };
	struct load_counts *n;
	struct compare c;
	struct target t;
	__u64 begin, now;

	target_start(&t);
	n = load_start(&t, config);
	follow_start(&f, t.pid);
	begin = now = sys_now_ns();
	while (now - begin < seconds * NS_PER_S || f.rounds < MIN_ROUNDS ||
	       (missing_op(n) && now - begin < PATIENCE * seconds * NS_PER_S)) {
		if (by_parts && f.rounds % PART_ROUNDS)
			follow_round_by_parts(&f);
		else
			follow_round(&f, false);
		if (f.rounds % COMPACT_ROUNDS == 0)
			ksft_must(!sys_write_file("/proc/sys/vm/compact_memory", "1"));
		now = sys_now_ns();
	}
	target_freeze(&t);
	if (last)
		follow_round(&f, true);
	if (f.backend->stands_first)
		must(f.backend->ops->give_up(f.backend, &err), &err);
	compare_run(&c, t.pid, &f.m, 0, USER_TOP);
	ksft_print_msg("%lu rounds, %lu parts, %lu pages, stood %llu ms in them; %lu writes; %lu of %lu pages stale, %lu not dropped\n",
		       f.rounds, f.parts, f.pages, (unsigned long long)f.stood_ns / 1000000,
		       n->writes, c.stale, c.pages, c.undropped);
	*missing = missing_op(n);
	follow_end(&f);
	target_stop(&t);
	cgroup_kill(&f.group, &(struct error){ 0 });
	cgroup_remove(&f.group, 5000);
	return c.stale + c.undropped;
}

/* The kernel's own hands in the task's memory, busier than they would be. */
static void wake_kernel_threads(void)
{
	static const char *const settings[][2] = {
		{ "/sys/kernel/mm/ksm/sleep_millisecs", "20" },
		{ "/sys/kernel/mm/ksm/run", "1" },
		{ "/sys/kernel/mm/transparent_hugepage/enabled", "always" },
		{ "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "200" },
		{ "/sys/kernel/mm/transparent_hugepage/khugepaged/alloc_sleep_millisecs", "200" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		ksft_must(!sys_write_file(settings[i][0], settings[i][1]));
}

static void one_run(struct load_config *config, unsigned int seconds, bool lossy,
		    unsigned long *lost)
{
	const char *missing;
	unsigned long bad = oracle_run(config, seconds, &missing);

	*lost += bad;
	if (!lossy)
		ksft_test_result(!bad && !missing, "seed %llu: mirror equals memory%s%s\n", config->seed,
				 missing ? ", but this never happened: " : "", missing ? missing : "");
	config->seed++;
}

static void use_module(const char *name)
{
	int found = backend_tracker_find(name);

	if (found < 0)
		ksft_exit_fail_msg("there is no tracker %s\n", name);
	kind = BACKEND_MODULE;
	tracker = found;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "runs", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'e' },
		{ "module", required_argument, NULL, 'm' },
		{ "no-freeze", no_argument, NULL, 'f' },
		{ "no-last", no_argument, NULL, 'n' },
		{ "parts", no_argument, NULL, 'p' },
		{ "early", no_argument, NULL, 'a' },
		{ "lossy", no_argument, NULL, 'l' },
		{}
	};
	struct load_config config = {
		.threads = 4, .mb = 32, .seed = sys_now_ns() % 1000000, .rate = 20000,
		.ops = true,
	};
	unsigned int runs = 20, seconds = 3;
	unsigned long lost = 0;
	bool lossy = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'r')
			runs = atoi(optarg);
		else if (opt == 's')
			seconds = atoi(optarg);
		else if (opt == 'e')
			config.seed = strtoull(optarg, NULL, 0);
		else if (opt == 'n')
			last = false;
		else if (opt == 'm')
			use_module(optarg);
		else if (opt == 'f')
			freezes = false;
		else if (opt == 'p')
			by_parts = true;
		else if (opt == 'a')
			early = by_parts = true;
		else if (opt == 'l')
			lossy = true;
		else
			ksft_exit_fail_msg("unknown option\n");
	}
	sys_swap_on(256);
	wake_kernel_threads();
	for (unsigned int i = 0; i < runs && !(lossy && lost); i++)
		one_run(&config, seconds, lossy, &lost);
	if (lossy)
		ksft_test_result(lost, "control: it loses pages (%lu)\n", lost);
	ksft_finished();
}
