/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Questions whose answer may never come: a path on a network file system whose server is gone blocks
 * whoever looks at it, and not even SIGKILL ends that. So a child process asks, and nobody waits for its end.
 */
#ifndef MIGRATE_DEST_PROBE_H
#define MIGRATE_DEST_PROBE_H

#include <stdbool.h>
#include <stddef.h>

/** typedef probe_fn - question number @i; it runs in a process of its own, and takes no locks */
typedef bool (*probe_fn)(const void *ctx, size_t i);

/**
 * probe_run() - ask @nr questions, one after the other
 * @answers: room for @nr
 * @timeout_ms: for all of them
 *
 * Return: how many were answered: less than @nr when the next one was not, in time; -1 with errno when
 *	nothing could be asked
 */
long probe_run(probe_fn ask, const void *ctx, bool *answers, size_t nr, int timeout_ms);

#endif
