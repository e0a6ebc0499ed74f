/* SPDX-License-Identifier: GPL-2.0 */
/* The clock of all time-outs and figures: CLOCK_MONOTONIC. */
#ifndef MIGRATE_BASE_CLOCK_H
#define MIGRATE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S	1000000000LL
#define CLOCK_NS_PER_MS	1000000LL

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * CLOCK_NS_PER_S + ts.tv_nsec;
}

/** clock_now_ns() - CLOCK_MONOTONIC in nanoseconds */
static inline uint64_t clock_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/** clock_now_ms() - clock_now_ns() in milliseconds */
static inline int64_t clock_now_ms(void)
{
	return clock_now_ns() / CLOCK_NS_PER_MS;
}

/** clock_in_ms() - the time @ms milliseconds from now, for the timed waits of pthread; @ms >= 0 */
static inline struct timespec clock_in_ms(clockid_t clock, int ms)
{
	uint64_t ns = clock_ns(clock) + ms * CLOCK_NS_PER_MS;

	return (struct timespec){ .tv_sec = ns / CLOCK_NS_PER_S, .tv_nsec = ns % CLOCK_NS_PER_S };
}

#endif
