// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "ksft.h"
#include "net.h"
#include "sys.h"

static int bench_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double runs[BENCH_RUNS])
{
	qsort(runs, BENCH_RUNS, sizeof(double), bench_order);
	return runs[BENCH_RUNS / 2];
}

void bench_figure(const char *name, double value, const char *unit)
{
	printf("{\"%s\":{\"value\":%.3f,\"unit\":\"%s\"}}\n", name, value,
	       unit);
	fflush(stdout);
}

void bench_spread(const char *name, double runs[BENCH_RUNS])
{
	double median = bench_median(runs);

	printf("# %-44s %8.2f %8.2f %8.2f\n", name, runs[0], median,
	       runs[BENCH_RUNS - 1]);
}

static void bench_row(const struct bench_way *way)
{
	printf("# %-44s %8.1f %8.1f %8.1f\n", way->name,
	       way->seconds[0] * 1e3, way->seconds[BENCH_RUNS / 2] * 1e3,
	       way->seconds[BENCH_RUNS - 1] * 1e3);
}

void bench_compare(const char *name, struct bench_way *a, struct bench_way *b)
{
	double ratio, ratios[BENCH_RUNS];
	int i;

	a->run();
	b->run();
	for (i = 0; i < BENCH_RUNS; i++) {
		a->seconds[i] = a->run();
		b->seconds[i] = b->run();
		ratios[i] = a->seconds[i] / b->seconds[i];
	}
	ratio = bench_median(a->seconds) / bench_median(b->seconds);
	printf("# %-44s %8s %8s %8s\n", "milliseconds", "least", "median",
	       "most");
	bench_row(a);
	bench_row(b);
	bench_spread("ratio of each pair", ratios);
	bench_figure(name, ratio, "x");
}

static void bench_read(int sock, int done, int flags)
{
	int len = 1 << 20;
	char *data = malloc(len);

	/* wakes the reader for whole chunks only, since each wake-up costs the sender time */
	ksft_must(!setsockopt(sock, SOL_SOCKET, SO_RCVLOWAT, &len, sizeof(len)));
	while (recv(sock, data, len, flags) > 0)
		;
	ksft_must(write(done, "", 1) == 1);
	_exit(0);
}

void bench_reader_start(struct bench_reader *r, bool discards)
{
	int pair[2], done[2];

	net_tcp_pair(pair);
	ksft_must(!pipe(done));
	fflush(stdout);
	r->pid = fork();
	ksft_must(r->pid >= 0);
	if (!r->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		bench_read(pair[1], done[1], discards ? MSG_TRUNC : 0);
	}
	close(pair[1]);
	close(done[1]);
	r->sock = pair[0];
	r->done = done[0];
}

void bench_reader_finish(struct bench_reader *r)
{
	char byte;

	close(r->sock);
	ksft_must(read(r->done, &byte, 1) == 1);
	close(r->done);
	waitpid(r->pid, NULL, 0);
}

void bench_send(int fd, int sock, unsigned long addr, size_t len)
{
	struct splice_vm_run run = { addr, len / PAGE_SIZE, 0 };
	struct svm_send send = { .sock = sock };
	struct svm s = { .fd = fd };
	int ret = svm_send_all(&s, &send, &run, 1);

	if (ret)
		ksft_exit_fail_msg("SEND: %s\n", strerror(-ret));
	svm_runs_free(&send.results);
}

unsigned long bench_target(struct target *t)
{
	unsigned long addr;

	target_start(t);
	addr = target_map(t, BENCH_BYTES, MADV_NOHUGEPAGE);
	target_fill(t, addr, BENCH_BYTES, 1);
	return addr;
}
