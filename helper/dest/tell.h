/* SPDX-License-Identifier: GPL-2.0 */
/* Reports one event both as text and as JSON. */
#ifndef MIGRATE_DEST_TELL_H
#define MIGRATE_DEST_TELL_H

#include "base/report.h"
#include "dest/places.h"
#include "session/outcome.h"

/** tell_count() - count the lines of this process in @place, from before there are threads */
void tell_count(struct place *place);

/**
 * tell_manager() - the manager on @msgfd gets the outcome with tell_result(), once; -1: there is none
 * @told: in shared memory, set then
 *
 * Outcomes of migrations before Setup are those of strangers, unless there is one migration alone.
 */
void tell_manager(int msgfd, bool alone, atomic_bool *told);
/** tell_log() - the end of the log @name in @dir_fd, which will be removed, belongs to the outcome */
void tell_log(int dir_fd, const char *name);

/** tell_migration() - add "id" to every JSON object of this process from now on */
void tell_migration(const char *id);

/**
 * tell() - report one event; any thread may call
 * @event: stable name; with --json the object is {"event": @event, …@fields}
 * @fields: the function takes the reference; may be NULL
 * @fmt: the line of text
 */
void tell(const char *event, json_t *fields, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** tell_result() - report the result of a migration; @fields: figures, as in tell() */
void tell_result(const struct error *err, json_t *fields);

#endif
