/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How fast this machine does what CRIU does, measured in a fraction of a second with a process of the
 * helper's own.
 */
#ifndef MIGRATE_SESSION_SPEED_H
#define MIGRATE_SESSION_SPEED_H

#include <stdint.h>

/**
 * struct speed - each in nanoseconds, the least of some runs, of @wake the lower quartile: other work on the
 * machine counts as little as can be; at least 1
 * @file: to open a file of /proc, read and close it
 * @wake: to wake a process on another CPU, and to be woken by it
 * @mapping: to make a mapping, to read its line in /proc/PID/maps, and to take it away
 * @page: to write to a new page of shared memory
 */
struct speed {
	uint64_t file, wake, mapping, page;
};

/** speed_measure() - takes some 10 ms, more on a slow machine; the last result is kept for a minute */
void speed_measure(struct speed *speed);

#endif
