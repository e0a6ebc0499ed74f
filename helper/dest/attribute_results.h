/* SPDX-License-Identifier: GPL-2.0 */
/* What became of the attributes that the destination sets, a line for each kind. */
#ifndef MIGRATE_DEST_ATTRIBUTE_RESULTS_H
#define MIGRATE_DEST_ATTRIBUTE_RESULTS_H

#include <stddef.h>
#include "control.pb-c.h"

#define ATTRIBUTE_KINDS		12	/* one more than the highest of enum AttributeKind */
#define ATTRIBUTE_DETAIL_BYTES	160

/**
 * struct attribute_result - what became of one kind of attribute
 * @set: threads (or 1, for the process) that have it now
 * @failed: those that could not be given it
 * @detail: of the first that failed, or of the first
 */
struct attribute_result {
	size_t set, failed;
	char detail[ATTRIBUTE_DETAIL_BYTES];
};

/** struct attribute_results - @of: indexed by enum AttributeKind. Zeroed is empty */
struct attribute_results {
	struct attribute_result of[ATTRIBUTE_KINDS];
};

/** attribute_failed() - a thread, or the process, could not be given it; the text names which, and why */
void attribute_failed(struct attribute_results *results, Migrate__AttributeKind kind,
		      const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** attribute_set() - a thread, or the process, has it now */
void attribute_set(struct attribute_results *results, Migrate__AttributeKind kind,
		   const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
