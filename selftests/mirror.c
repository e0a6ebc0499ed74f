// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle: a mirror that is built only from SCAN and SEND, with pread for SLOW pages, equals the
 * task's memory in the end, each time. The task changes its mappings meanwhile, and another process
 * writes clear_refs too.
 *
 *	mirror [--threads N] [--seconds N] [--seed N] [--mb N] [--rate N]
 *	       [--tracker SPLICE_VM_TRACKER_*] [--socket TCP|AF_UNIX]
 *	       [--no-control]
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ksft.h"
#include "mirror_compare.h"
#include "mirror_load.h"
#include "mirror_two_step.h"
#include "net.h"
#include "receiver.h"
#include "svm.h"
#include "sys.h"

#define SWAPPED_PERCENT	10
#define CONTROL_TRIES	5
#define MIN_ROUNDS	5
#define COMPACT_ROUNDS	4
#define PART_ROUNDS	3
#define COOKIE		99

/**
 * struct follow - a mirror and how it is kept up
 * @s: session on the task
 * @m: the mirror
 * @r: fills it
 * @send: to @r
 * @rounds: so far; @parts: of rounds, or whole ones
 * @slow: pages that were copied
 * @dropped: pages that were forgotten
 */
struct follow {
	struct svm s;
	struct mirror m;
	struct receiver r;
	struct svm_send send;
	unsigned long rounds;
	unsigned long parts;
	unsigned long slow;
	unsigned long dropped;
};

static void follow_start(struct follow *f, pid_t pid,
			 const struct net_kind *net)
{
	int pair[2];

	*f = (struct follow){ .send.cookie = COOKIE };
	net->pair(pair);
	mirror_init(&f->m);
	f->r = (struct receiver){
		.fd = pair[1],
		.mirror = &f->m,
		.cookie = COOKIE,
	};
	receiver_start(&f->r);
	f->send.sock = pair[0];
	svm_open(&f->s, pid, true);
}

static void follow_end(struct follow *f)
{
	shutdown(f->send.sock, SHUT_WR);
	receiver_join(&f->r);
	close(f->send.sock);
	close(f->r.fd);
	svm_runs_free(&f->send.results);
	mirror_free(&f->m);
	svm_close(&f->s);
}

static void follow_drop(struct follow *f, const struct splice_vm_run *run)
{
	mirror_drop(&f->m, run->addr, run->nr_pages);
	f->dropped += run->nr_pages;
}

/* A page may have gone since: a later round says so, too. */
static void follow_copy(struct follow *f, const struct splice_vm_run *run)
{
	static unsigned char data[64 * PAGE_SIZE];
	__u64 addr = run->addr, end = addr + run->nr_pages * PAGE_SIZE;

	while (addr < end) {
		size_t want = end - addr > sizeof(data) ? sizeof(data) :
							  end - addr;
		ssize_t at, got = pread(f->s.fd, data, want, addr);

		if (got < 0 && errno == EFAULT) {
			mirror_drop(&f->m, addr, 1);
			got = PAGE_SIZE;
		} else if (got <= 0 || got % PAGE_SIZE) {
			ksft_exit_fail_msg("pread %#llx: %zd, %m\n", addr, got);
		} else {
			for (at = 0; at < got; at += PAGE_SIZE)
				memcpy(mirror_put(&f->m, addr + at)->data,
				       data + at, PAGE_SIZE);
		}
		addr += got;
	}
	f->slow += run->nr_pages;
}

/* The stream is empty before and after, so that rounds, and parts of them, are in order. */
static void follow_take(void *ctx, const struct svm_runs *found)
{
	struct follow *f = ctx;
	struct svm_runs dirty = {};
	size_t i;
	int ret;

	for (i = 0; i < found->nr; i++) {
		if (found->v[i].flags & SPLICE_VM_RUN_DROPPED)
			follow_drop(f, &found->v[i]);
		else
			svm_runs_add(&dirty, found->v[i].addr,
				     found->v[i].nr_pages, 0);
	}
	f->send.results.nr = 0;
	ret = svm_send_all(&f->s, &f->send, dirty.v, dirty.nr);
	if (ret)
		ksft_exit_fail_msg("SEND: %s\n", strerror(-ret));
	if (!receiver_wait(&f->r, f->send.bytes))
		ksft_exit_fail_msg("stream: %s\n", f->r.broken ?: "short");
	for (i = 0; i < f->send.results.nr; i++) {
		const struct splice_vm_run *run = &f->send.results.v[i];

		if (run->flags == SPLICE_VM_RUN_SLOW)
			follow_copy(f, run);
		else if (run->flags != SPLICE_VM_RUN_SENT)
			follow_drop(f, run);
	}
	f->parts++;
	svm_runs_free(&dirty);
}

static void follow_round(struct follow *f)
{
	struct svm_runs found = {};
	int ret = svm_scan(&f->s, SPLICE_VM_SCAN_TRACKED, 0, SVM_END, 1024, &found);

	if (ret)
		ksft_exit_fail_msg("SCAN: %s\n", strerror(-ret));
	follow_take(f, &found);
	f->rounds++;
	svm_runs_free(&found);
}

/* Two of three rounds, where the tracker can. */
static void follow_round_by_parts(struct follow *f)
{
	if (!f->s.has_wp || f->rounds % PART_ROUNDS == 0) {
		follow_round(f);
		return;
	}
	svm_scan_parts(&f->s, 0, SVM_END, 128, follow_take, f);
	f->rounds++;
}

/* Another one who ends epochs, whenever it likes. */
static pid_t clearer_start(pid_t target, __u64 seed)
{
	pid_t pid = fork();
	int fd;

	ksft_must(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = sys_proc_open(target, "clear_refs", O_WRONLY);
	while (write(fd, "4", 1) == 1)
		sys_sleep_us(sys_random(&seed) % 100000);
	_exit(1);
}

/* The task stands still and cannot do it itself. Return: pages that are in swap */
static unsigned long page_out_steady(pid_t pid,
				     const struct load_config *config)
{
	unsigned long all = load_steady_bytes(config);
	unsigned long bytes = load_steady_bytes(config) * 2 / 5;
	struct iovec vec = { (void *)LOAD_BASE, bytes };
	int i, pidfd = syscall(SYS_pidfd_open, pid, 0);

	ksft_must(pidfd >= 0);
	/* a page that a socket still holds stays: a receiver may be slow */
	for (i = 0; i < 150; i++) {
		if (i >= 10)
			usleep(100000);
		sys_drain_lru();
		if (syscall(SYS_process_madvise, pidfd, &vec, 1, MADV_PAGEOUT,
			    0) < 0)
			ksft_die("process_madvise");
		if (sys_pagemap_count(pid, LOAD_BASE, bytes / PAGE_SIZE,
				      PM_SWAP) > bytes / PAGE_SIZE * 9 / 10)
			break;
	}
	close(pidfd);
	return sys_pagemap_count(pid, LOAD_BASE, all / PAGE_SIZE, PM_SWAP);
}

static void mirror_print(const struct follow *f, const struct load_counts *n,
			 const struct compare *c)
{
	struct splice_vm_info info;
	int i;

	svm_info(f->s.fd, &info);
	ksft_print_msg("%lu rounds, %lu parts, %llu epochs, %llu pages sent, %lu slow\n",
		       f->rounds, f->parts, info.epochs, info.pages_sent, f->slow);
	ksft_print_msg("%lu pages dropped, %llu overflows\n", f->dropped,
		       info.overflows);
	ksft_print_msg("%lu writes, %lu that hit nothing; %lu pages compared, %lu swapped\n",
		       n->writes, n->faults, c->pages, c->swapped);
	for (i = 0; i < LOAD_OPS; i++)
		ksft_print_msg("  %s: %lu done, %lu refused\n",
			       load_op_names[i], n->ops[i], n->failed[i]);
}

/* Every way to change a mapping was really taken. */
static bool mirror_all_ops(const struct load_counts *n)
{
	int i;

	for (i = 0; i < LOAD_OPS; i++) {
		if (!n->ops[i])
			return false;
	}
	return true;
}

static const char *mirror_tracker_name(__u32 tracker)
{
	return tracker == SPLICE_VM_TRACKER_EVENTS ? "write-protect" : "soft-dirty";
}

static void mirror_run(const struct load_config *config, unsigned int seconds,
		       const struct net_kind *net, __u32 tracker)
{
	const char *how = mirror_tracker_name(tracker);
	struct load_counts *n;
	struct compare c;
	struct target t;
	struct follow f;
	unsigned long swapped;
	pid_t clearer;
	__u64 end;

	svm_use_tracker(tracker);
	target_start(&t);
	n = load_start(&t, config);
	follow_start(&f, t.pid, net);
	clearer = clearer_start(t.pid, config->seed);
	end = sys_now_ns() + seconds * 1000000000ULL;
	/* A busy machine needs longer for as many rounds. */
	while (sys_now_ns() < end || f.rounds < MIN_ROUNDS) {
		svm_epoch(&f.s);
		follow_round_by_parts(&f);
		if (f.rounds % COMPACT_ROUNDS == 0)
			ksft_must(!sys_write_file("/proc/sys/vm/compact_memory",
						  "1"));
	}
	target_freeze(&t);
	swapped = page_out_steady(t.pid, config);
	svm_epoch(&f.s);
	follow_round(&f);
	kill(clearer, SIGKILL);
	waitpid(clearer, NULL, 0);
	/* Dropped pages of files, which had been protected, look like swapped ones in pagemap. */
	ksft_must(!svm_stop_tracker(&f.s));
	compare_run(&c, t.pid, &f.m, 0, SVM_END);
	mirror_print(&f, n, &c);
	ksft_test_result(!c.stale && !c.undropped,
			 "%s, %s: mirror equals memory: %lu stale, %lu not dropped\n",
			 how, net->name, c.stale, c.undropped);
	ksft_test_result(swapped * 100 >= c.pages * SWAPPED_PERCENT,
			 "%s, %s: %lu of %lu pages were in zram at the last epoch\n",
			 how, net->name, swapped, c.pages);
	ksft_test_result(mirror_all_ops(n),
			 "%s, %s: all kinds of change happened\n", how,
			 net->name);
	follow_end(&f);
	target_stop(&t);
}

static void mirror_control(struct load_config config, unsigned int seconds)
{
	unsigned long lost = 0;
	int i;

	/* Writers alone lose enough. */
	config.ops = false;
	for (i = 0; !lost && i < CONTROL_TRIES; i++) {
		lost = two_step_run(&config, seconds < 4 ? seconds : 4);
		config.seed++;
		/* Neither a slow nor a hot writer shows it: try both. */
		config.rate = i % 2 ? config.rate * 8 : config.rate / 2;
	}
	ksft_test_result(lost, "control: two steps lose %lu pages\n", lost);
}

/* The kernel's own hands in the task's memory, busier than they would be. */
static void mirror_kernel_threads(void)
{
	static const char dir[] = "/sys/kernel/mm/transparent_hugepage";
	char path[128];

	ksft_must(!sys_write_file("/sys/kernel/mm/ksm/sleep_millisecs", "20"));
	ksft_must(!sys_write_file("/sys/kernel/mm/ksm/run", "1"));
	snprintf(path, sizeof(path), "%s/enabled", dir);
	ksft_must(!sys_write_file(path, "always"));
	snprintf(path, sizeof(path), "%s/khugepaged/scan_sleep_millisecs", dir);
	ksft_must(!sys_write_file(path, "200"));
	snprintf(path, sizeof(path), "%s/khugepaged/alloc_sleep_millisecs", dir);
	ksft_must(!sys_write_file(path, "200"));
}

/**
 * struct mirror_options - the command line
 * @seconds: of each run
 * @socket: name of the only kind of socket, or NULL
 * @tracker: the only tracker, or 0
 * @control: two steps must lose pages
 */
struct mirror_options {
	struct load_config config;
	unsigned int seconds;
	const char *socket;
	__u32 tracker;
	bool control;
};

static void mirror_option(struct mirror_options *opts, int opt, const char *arg)
{
	__u64 value = arg ? strtoull(arg, NULL, 0) : 0;

	switch (opt) {
	case 't':
		opts->config.threads = value;
		break;
	case 's':
		opts->seconds = value;
		break;
	case 'e':
		opts->config.seed = value;
		break;
	case 'm':
		opts->config.mb = value;
		break;
	case 'r':
		opts->config.rate = value;
		break;
	case 'k':
		opts->tracker = value;
		break;
	case 'o':
		opts->socket = arg;
		break;
	case 'n':
		opts->control = false;
		break;
	default:
		ksft_exit_fail_msg("unknown option\n");
	}
}

static void mirror_options_parse(struct mirror_options *opts, int argc, char **argv)
{
	static const struct option options[] = {
		{ "threads", required_argument, NULL, 't' },
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'e' },
		{ "mb", required_argument, NULL, 'm' },
		{ "rate", required_argument, NULL, 'r' },
		{ "tracker", required_argument, NULL, 'k' },
		{ "socket", required_argument, NULL, 'o' },
		{ "no-control", no_argument, NULL, 'n' },
		{}
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		mirror_option(opts, opt, optarg);
}

/* Each tracker with each kind of socket. */
static void mirror_run_all(struct mirror_options *opts)
{
	unsigned int i;

	for (i = 0; i < 4; i++) {
		__u32 tracker = SPLICE_VM_TRACKER_SOFT_DIRTY + i / 2;
		const struct net_kind *net = &net_kinds[i % 2];

		if ((opts->tracker && tracker != opts->tracker) ||
		    (opts->socket && strcmp(opts->socket, net->name)))
			continue;
		if (svm_has_tracker(tracker))
			mirror_run(&opts->config, opts->seconds, net, tracker);
		opts->config.seed++;
	}
}

int main(int argc, char **argv)
{
	struct mirror_options opts = {
		.config = {
			.threads = 4,
			.mb = 64,
			.seed = sys_now_ns() % 1000000,
			.rate = 20000,
			.ops = true,
		},
		.seconds = 4,
		.control = true,
	};
	const struct load_config *config = &opts.config;

	mirror_options_parse(&opts, argc, argv);
	ksft_print_header();
	ksft_print_msg("--threads %u --seconds %u --mb %u --rate %u --seed %llu\n",
		       config->threads, opts.seconds, config->mb, config->rate,
		       config->seed);
	sys_swap_on(256);
	mirror_kernel_threads();
	mirror_run_all(&opts);
	if (opts.control)
		mirror_control(opts.config, opts.seconds);
	ksft_finished();
}
