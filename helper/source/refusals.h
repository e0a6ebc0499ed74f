/* SPDX-License-Identifier: GPL-2.0 */
/* Reasons against moving a program: each is said when it is found, and all of them are one error. */
#ifndef MIGRATE_SOURCE_REFUSALS_H
#define MIGRATE_SOURCE_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * struct refusals - what speaks against moving a program
 * @first: the only one becomes the error; of several each is said
 * @nr: how many
 * @quiet: they are counted, and not said: the process may have ended before they were found
 */
struct refusals {
	struct error first;
	size_t nr;
	bool quiet;
};

/** refuse() - one reason; @hint: what to do, or NULL */
void refuse(struct refusals *refusals, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** refusals_end() - 0 when nothing speaks against moving process @pid, or -1 with @err */
int refusals_end(const struct refusals *refusals, pid_t pid, struct error *err);

#endif
