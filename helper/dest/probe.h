/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Questions that the kernel may never answer: a path on a network file system without server blocks
 * the process that looks at it, and not even SIGKILL ends the wait. So a child process asks, and
 * the parent does not wait for the child's end.
 */
#ifndef MIGRATE_DEST_PROBE_H
#define MIGRATE_DEST_PROBE_H

#include <stdbool.h>
#include <stddef.h>

/** typedef probe_fn - answer question @i; runs in the child process, and takes no locks */
typedef bool (*probe_fn)(const void *ctx, size_t i);

/**
 * probe_run() - ask @nr questions, one after the other
 * @answers: room for @nr answers
 * @timeout_ms: for all questions together
 *
 * Return: number of answers; fewer than @nr when the next one did not come in time; -1 with errno
 *	when the child could not be started
 */
long probe_run(probe_fn ask, const void *ctx, bool *answers, size_t nr, int timeout_ms);

#endif
