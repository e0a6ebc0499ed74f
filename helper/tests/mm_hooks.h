/* SPDX-License-Identifier: GPL-2.0 */
/* Hooks of an mm that only count their calls: no keeper and no thread behind them. */
#ifndef MIGRATE_TESTS_MM_HOOKS_H
#define MIGRATE_TESTS_MM_HOOKS_H

#include "dest/mm.h"

static atomic_uint mm_kicks;

static inline int hold_nothing(void *ctx, int uffd, int *handle, struct error *err)
{
	return 0;
}

static inline int holds_nothing(void *ctx, struct error *err)
{
	return 0;
}

static inline void release_nothing(void *ctx, int handle)
{
}

static inline int watch_nothing(void *ctx, struct space *space, bool on, struct error *err)
{
	return 0;
}

static inline void count_kick(void *ctx, struct mm *mm)
{
	atomic_fetch_add(&mm_kicks, 1);
}

static inline void wake_nobody(void *ctx)
{
}

static const struct mm_hooks no_mm_hooks = {
	.hold = hold_nothing, .holds_all = holds_nothing, .release = release_nothing, .watch = watch_nothing,
	.kick = count_kick, .work = wake_nobody,
};

#endif
