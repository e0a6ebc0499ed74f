// SPDX-License-Identifier: GPL-2.0
/*
 * Another task's 4 KiB pages over TCP loopback: SPLICE_VM_SEND, process_vm_readv() and
 * send(), and for comparison sendfile(2) from tmpfs, which copies nothing either. With a
 * receiver that copies all, and with one that discards it unseen. A figure is what a way
 * costs over what SEND costs: time until the receiver has all, or CPU of the sender.
 *	send [native]	the figures of a kernel that runs at the machine's own speed
 */
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"
#include "ksft.h"
#include "sys.h"

enum { WAY_SEND, WAY_READV, WAY_SENDFILE, WAYS };

/**
 * struct send_figure - what a way costs over SEND
 * @name: of the figure; NULL ends a table
 * @way: WAY_*
 * @discards: the receiver
 * @cpu: CPU of the sender, otherwise time
 */
struct send_figure {
	const char *name;
	int way;
	bool discards;
	bool cpu;
};

/**
 * struct send_costs - of one way with one receiver
 * @wanted: by a figure
 * @time: seconds until the receiver had all, of each run
 * @cpu: seconds of the sender's CPU, of each run
 */
struct send_costs {
	bool wanted;
	double time[BENCH_RUNS];
	double cpu[BENCH_RUNS];
};

static struct target target;
static struct svm svm;
static unsigned long addr;
static char *data;
static int file;
/* How often the memory is sent in a run: a fast machine is soon done. */
static int passes = 1;
static struct send_costs costs[WAYS][2];

static void send_by_ref(int sock)
{
	bench_send(svm.fd, sock, addr, BENCH_BYTES);
}

static void send_readv(int sock)
{
	unsigned long at;

	for (at = addr; at < addr + BENCH_BYTES; at += BENCH_CHUNK) {
		struct iovec local = { data, BENCH_CHUNK };
		struct iovec remote = { (void *)at, BENCH_CHUNK };

		ksft_must(process_vm_readv(target.pid, &local, 1, &remote, 1,
					   0) == BENCH_CHUNK);
		ksft_must(send(sock, data, BENCH_CHUNK, 0) == BENCH_CHUNK);
	}
}

static void send_file(int sock)
{
	off_t pos = 0;

	while (pos < (off_t)BENCH_BYTES)
		ksft_must(sendfile(sock, file, &pos, BENCH_BYTES - pos) > 0);
}

static const struct {
	const char *name;
	void (*run)(int sock);
} ways[WAYS] = {
	[WAY_SEND] = { "SEND", send_by_ref },
	[WAY_READV] = { "process_vm_readv + send", send_readv },
	[WAY_SENDFILE] = { "sendfile from tmpfs", send_file },
};

static const struct send_figure figures[] = {
	{ "send_cpu_ratio", WAY_READV, false, true },
	{ "send_vs_sendfile", WAY_SENDFILE, false, false },
	{}
};

static const struct send_figure native[] = {
	{ "native_send_vs_sendfile", WAY_SENDFILE, true, false },
	{ "native_send_vs_readv", WAY_READV, true, false },
	{ "native_send_vs_sendfile_copy", WAY_SENDFILE, false, false },
	{ "native_send_vs_readv_copy", WAY_READV, false, false },
	{ "native_send_cpu_ratio", WAY_READV, true, true },
	{ "native_send_cpu_ratio_copy", WAY_READV, false, true },
	{}
};

static void send_once(int way, bool discards, double *time, double *cpu)
{
	struct bench_reader r;
	__u64 now, used;
	int i;

	bench_reader_start(&r, discards);
	now = sys_now_ns();
	used = sys_thread_cpu_ns();
	for (i = 0; i < passes; i++)
		ways[way].run(r.sock);
	*cpu = (sys_thread_cpu_ns() - used) / 1e9;
	bench_reader_finish(&r);
	*time = (sys_now_ns() - now) / 1e9;
}

/* All ways in turn, so that what else the machine does meets each. */
static void send_round(int run)
{
	int way, discards;

	for (discards = 0; discards < 2; discards++) {
		for (way = 0; way < WAYS; way++) {
			struct send_costs *c = &costs[way][discards];

			if (c->wanted)
				send_once(way, discards, &c->time[run],
					  &c->cpu[run]);
		}
	}
}

static void send_row(int way, int discards)
{
	struct send_costs *c = &costs[way][discards];
	double bytes = (double)BENCH_BYTES * passes / 1e9;
	double time = bench_median(c->time), cpu = bench_median(c->cpu);

	printf("# %-24s %-9s %8.2f %8.2f %8.2f %8.0f\n", ways[way].name,
	       discards ? "discards" : "copies",
	       bytes / c->time[BENCH_RUNS - 1], bytes / time,
	       bytes / c->time[0], cpu / bytes * 1e3);
}

static void send_report(const struct send_figure *figure)
{
	struct send_costs *ours = &costs[WAY_SEND][figure->discards];
	struct send_costs *other = &costs[figure->way][figure->discards];

	if (figure->cpu)
		bench_figure(figure->name, bench_median(other->cpu) /
			     bench_median(ours->cpu), "x");
	else
		bench_figure(figure->name, bench_median(other->time) /
			     bench_median(ours->time), "x");
}

static void send_file_make(void)
{
	unsigned long at;

	file = memfd_create("bench", MFD_CLOEXEC);
	ksft_must(file >= 0);
	for (at = 0; at < BENCH_BYTES; at += BENCH_CHUNK) {
		pattern_fill(data, at, BENCH_CHUNK, 1);
		ksft_must(write(file, data, BENCH_CHUNK) == BENCH_CHUNK);
	}
}

int main(int argc, char **argv)
{
	const struct send_figure *table = figures, *f;
	int i, discards;

	if (argc > 1 && !strcmp(argv[1], "native")) {
		table = native;
		passes = 2;
	}
	for (f = table; f->name; f++) {
		costs[f->way][f->discards].wanted = true;
		costs[WAY_SEND][f->discards].wanted = true;
	}
	data = malloc(BENCH_CHUNK);
	ksft_must(data);
	addr = bench_target(&target);
	send_file_make();
	svm_open(&svm, target.pid, false);

	send_round(0); /* to warm up */
	for (i = 0; i < BENCH_RUNS; i++)
		send_round(i);
	printf("# %-24s %-9s %8s %8s %8s %8s\n", "", "receiver", "GB/s least",
	       "median", "most", "CPU ms/GB");
	for (i = 0; i < WAYS; i++) {
		for (discards = 0; discards < 2; discards++) {
			if (costs[i][discards].wanted)
				send_row(i, discards);
		}
	}
	for (f = table; f->name; f++)
		send_report(f);
	svm_close(&svm);
	target_stop(&target);
	return 0;
}
