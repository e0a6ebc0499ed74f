/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_PRECHECK_LIST_H
#define MIGRATE_DEST_PRECHECK_LIST_H

#include <stddef.h>

/** struct refusals - the reasons for which Setup is refused, as sentences */
struct refusals {
	char *text[32];
	size_t nr;
};

/** precheck_refuse() - add a sentence; drops it when the list is full */
void precheck_refuse(struct refusals *refusals, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void precheck_free(struct refusals *refusals);

#endif
