/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compares two ways of doing one task, which run in turn several times in one process. Times of an
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
 * struct bench_way - one way of doing the task
 * @name: name in the table
 * @run: does the task once. Return: seconds, of CPU or of the clock
 * @seconds: result of each run
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

/* Prints least, median and most of the runs, and sorts them. */
void bench_spread(const char *name, double runs[BENCH_RUNS]);
/* Return: the median; sorts the runs */
double bench_median(double runs[BENCH_RUNS]);
/* Prints a line of JSON, which bench/host collects. */
void bench_figure(const char *name, double value, const char *unit);

/* A process that reads a TCP stream to its end. */
struct bench_reader {
	int sock;
	int done;
	pid_t pid;
};

/* A reader that @discards does not copy the bytes (MSG_TRUNC). */
void bench_reader_start(struct bench_reader *r, bool discards);
/* Ends the stream, and waits until the reader has read all bytes. */
void bench_reader_finish(struct bench_reader *r);

/* Sends @len bytes at @addr to @sock by SEND. */
void bench_send(int fd, int sock, unsigned long addr, size_t len);
/* Target with BENCH_BYTES of 4 KiB pages. Return: their address */
unsigned long bench_target(struct target *t);

#endif
