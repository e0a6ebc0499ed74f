/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_WIRE_DEADLINE_H
#define MIGRATE_WIRE_DEADLINE_H

#include <time.h>

/** deadline_in() - @ms milliseconds from now, as pthread's timed waits want it */
static inline struct timespec deadline_in(clockid_t clock, int ms)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000L;
	if (ts.tv_nsec >= 1000000000L) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000L;
	}
	return ts;
}

#endif
