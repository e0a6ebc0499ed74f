/* SPDX-License-Identifier: GPL-2.0 */
/* Signals that are pending for a stopped process. */
#ifndef MIGRATE_OS_PENDING_H
#define MIGRATE_OS_PENDING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * pending_read() - read the signals that are pending for @pid or for any of its threads
 * @mask: bit N - 1 is signal N, as in /proc/PID/status
 */
int pending_read(pid_t pid, uint64_t *mask, struct error *err);

/** pending_has() - true when @mask has signal @sig */
bool pending_has(uint64_t mask, int sig);

/**
 * pending_fault() - find a pending signal of a fault (SIGSEGV …) or of a limit (SIGXFSZ …)
 * @mask: signals pending now
 * @before: signals pending when the source froze the process
 * Return: number of the signal, or 0
 */
int pending_fault(uint64_t mask, uint64_t before);

#endif
