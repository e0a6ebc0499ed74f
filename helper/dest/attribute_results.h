/* SPDX-License-Identifier: GPL-2.0 */
/* Results of setting attributes at the destination, one for each kind of attribute. */
#ifndef MIGRATE_DEST_ATTRIBUTE_RESULTS_H
#define MIGRATE_DEST_ATTRIBUTE_RESULTS_H

#include <stddef.h>
#include "control.pb-c.h"

#define ATTRIBUTE_KINDS		12	/* highest value of enum AttributeKind plus 1 */
#define ATTRIBUTE_DETAIL_BYTES	160

/**
 * struct attribute_result - result for one kind of attribute
 * @set: number of threads that have it now; 1 for an attribute of the process
 * @failed: number of threads for which setting it failed
 * @detail: text of the first failure, or else of the first success
 */
struct attribute_result {
	size_t set, failed;
	char detail[ATTRIBUTE_DETAIL_BYTES];
};

/** struct attribute_results - @of is indexed by enum AttributeKind. Zeroed is empty */
struct attribute_results {
	struct attribute_result of[ATTRIBUTE_KINDS];
};

/** attribute_failed() - count a failure; the text names the thread or process, and the reason */
void attribute_failed(struct attribute_results *results, Migrate__AttributeKind kind,
		      const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** attribute_set() - count a success; the text names the thread or process */
void attribute_set(struct attribute_results *results, Migrate__AttributeKind kind,
		   const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
