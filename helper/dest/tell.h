/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One thing that happened, for people and for programs at once.
 */
#ifndef MIGRATE_DEST_TELL_H
#define MIGRATE_DEST_TELL_H

#include "base/report.h"

/** tell_migration() - from here on every object of this process carries "id" */
void tell_migration(const char *id);

/**
 * tell() - any thread
 * @event: stable name; with --json the object is {"event": @event, …@fields}
 * @fields: taken over; may be NULL
 * @fmt: the line for people
 */
void tell(const char *event, json_t *fields, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** tell_result() - the last record of a migration; @fields: figures, taken over, may be NULL */
void tell_result(const struct error *err, json_t *fields);

#endif
