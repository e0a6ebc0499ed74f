/* SPDX-License-Identifier: GPL-2.0 */
/* The reasons for which one program is refused: several are printed, and become one error. */
#ifndef MIGRATE_SOURCE_REFUSALS_H
#define MIGRATE_SOURCE_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * struct refusals - reasons for which a program is refused. Zeroed is empty
 * @first: the first reason; a single reason is not printed, but becomes the error
 * @nr: number of reasons
 * @quiet: reasons are kept in @reasons, and not printed: the process may have ended before the look
 * @reasons: @nr_kept of them when @quiet; fewer than @nr when there was no memory for one
 */
struct refusals {
	struct error first, *reasons;
	size_t nr, nr_kept;
	bool quiet;
};

/** refuse() - add one reason; @hint: what the user can do, or NULL */
void refuse(struct refusals *refusals, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** refusals_take() - add what @own, which is quiet, has kept */
void refusals_take(struct refusals *refusals, const struct refusals *own);
/** refusals_digest() - the same for the same reasons in the same order */
uint64_t refusals_digest(const struct refusals *refusals);
/** refusals_free() - what a quiet one has kept */
void refusals_free(struct refusals *refusals);

/** refusals_end() - 0 when there is no reason against moving process @pid, else -1 with @err */
int refusals_end(const struct refusals *refusals, pid_t pid, struct error *err);

#endif
