/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long many things took: a histogram. A class of times is a sixteenth of a power of two, so that a percentile is at
 * most 6 % too long; a caller that wants few classes gets powers of two, as QEMU prints them.
 */
#ifndef MIGRATE_BASE_LATENCY_H
#define MIGRATE_BASE_LATENCY_H

#include <pthread.h>
#include <stdint.h>

#define LATENCY_POWERS	24	/* of a microsecond: from 1 us (and less) to 8 s (and more), as QEMU's postcopy-latency-dist */
#define LATENCY_PARTS	16	/* of each */

/**
 * struct latency - @lock: a leaf lock, for all of it
 * @nr: of all times in @classes
 * @longest_ns, @sum_ns: of all times
 */
struct latency {
	pthread_mutex_t lock;
	uint64_t classes[LATENCY_POWERS][LATENCY_PARTS];
	uint64_t nr, sum_ns, longest_ns;
};

/**
 * struct latency_figures - what is told of it
 * @p50_ns, @p99_ns, @p999_ns: so many of the times were not longer; 0 when there was none
 * @powers: the number of times from 2^N us on, and below 2^(N+1) us
 */
struct latency_figures {
	uint64_t nr, sum_ns, p50_ns, p99_ns, p999_ns, longest_ns;
	uint64_t powers[LATENCY_POWERS];
};

void latency_init(struct latency *latency);
void latency_destroy(struct latency *latency);
/** latency_add() - one thing took so long. Any thread */
void latency_add(struct latency *latency, uint64_t ns);
/** latency_figures() - of all that was added so far. Any thread */
struct latency_figures latency_figures(struct latency *latency);

#endif
