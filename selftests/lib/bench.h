/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two ways in one run, one after the other, several times. Times of an
 * emulated machine mean nothing; their ratio does.
 */
#ifndef SPLICE_VM_SELFTESTS_BENCH_H
#define SPLICE_VM_SELFTESTS_BENCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "svm.h"
#include "target.h"

#define BENCH_MB	512UL
#define BENCH_BYTES	(BENCH_MB << 20)
#ifndef BENCH_RUNS
#define BENCH_RUNS	9	/* to try a program: make -C selftests O=... CFLAGS=-DBENCH_RUNS=1 */
#endif
#define BENCH_CHUNK	(2UL << 20)	/* as much as a batch of SEND */

/**
 * struct bench_way - a way to do it
 * @name: for the table
 * @run: does it once. Return: seconds, of CPU or of the clock
 * @seconds: of each run
 */
struct bench_way {
	const char *name;
	double (*run)(void);
	double seconds[BENCH_RUNS];
};

/*
 * Runs @a and @b in turn, once each to warm up; prints a table and, on a line of its
 * own, the JSON of the median of @a over the median of @b as @name. The table has the ratio of
 * each pair of runs as well.
 */
void bench_compare(const char *name, struct bench_way *a, struct bench_way *b);

/* A line for readers: least, median and most of the runs, which are in order afterwards. */
void bench_spread(const char *name, double runs[BENCH_RUNS]);
/* The median; the runs are in order afterwards. */
double bench_median(double runs[BENCH_RUNS]);
/* A line of JSON, which bench/host collects. */
void bench_figure(const char *name, double value, const char *unit);

/* A process that reads a TCP stream to its end. */
struct bench_reader {
	int sock;
	int done;
	pid_t pid;
};

/* One that @discards takes no look at what it gets (MSG_TRUNC). */
void bench_reader_start(struct bench_reader *r, bool discards);
/* Ends the stream, waits until all has been read. */
void bench_reader_finish(struct bench_reader *r);

/* All of @len bytes at @addr to @sock by SEND. */
void bench_send(int fd, int sock, unsigned long addr, size_t len);
/* Target with BENCH_BYTES of 4 KiB pages. Return: their address */
unsigned long bench_target(struct target *t);

#endif
