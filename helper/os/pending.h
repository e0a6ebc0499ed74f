/* SPDX-License-Identifier: GPL-2.0 */
/* Signals that wait for a process that stands, and what they would do to it. */
#ifndef MIGRATE_OS_PENDING_H
#define MIGRATE_OS_PENDING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * pending_read() - signals that are pending for @pid or for any of its threads
 * @mask: bit N - 1 is signal N, as in /proc/PID/status
 */
int pending_read(pid_t pid, uint64_t *mask, struct error *err);

/** pending_has() - signal @sig is in @mask */
bool pending_has(uint64_t mask, int sig);

/**
 * pending_fault() - a signal of a fault or of a limit, which no timer and no person sends
 * @mask: pending now
 * @before: pending when the process was frozen at the source
 * Return: its number, or 0
 */
int pending_fault(uint64_t mask, uint64_t before);

#endif
