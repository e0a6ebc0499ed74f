/* SPDX-License-Identifier: GPL-2.0 */
/* Work on many things of which none needs another, spread over the CPUs. */
#ifndef MIGRATE_BASE_SPREAD_H
#define MIGRATE_BASE_SPREAD_H

#include <stddef.h>
#include "base/error.h"

/** typedef spread_fn - work on thing @at, in any thread; -1 with @err ends it all */
typedef int (*spread_fn)(void *ctx, size_t at, struct error *err);

/**
 * spread_run() - call @fn for each of the things 0 to @nr - 1, and wait for all calls
 *
 * Few things, or a machine without another CPU or thread: the caller's thread does all of it, in order.
 * Return: 0; -1 with the @err of the first thing that failed. After a failure no further call is begun
 */
int spread_run(size_t nr, spread_fn fn, void *ctx, struct error *err);

/** spread_run_waiting() - spread_run() where @fn waits for the other end rather than works: on any machine by some threads */
int spread_run_waiting(size_t nr, spread_fn fn, void *ctx, struct error *err);

#endif
