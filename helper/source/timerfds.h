/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_SOURCE_TIMERFDS_H
#define MIGRATE_SOURCE_TIMERFDS_H

#include <sys/types.h>

/**
 * timerfds_refresh() - let the kernel compute when the periodic timerfds of @pid expire next
 *
 * After an expiry the kernel computes the next one only when a process reads the ticks or asks for
 * the value. Until then the kernel shows 0, and CRIU would dump 0. The program notices nothing: its
 * ticks stay. A timer that this function cannot open, or that expires again before the dump,
 * expires up to one interval late: see criu_timerfds_repair().
 */
void timerfds_refresh(pid_t pid);

#endif
