/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The records of a migration: files in its directory. That of the guard is there while the program
 * stands. From the moment at which that of COMMIT is on disk the program here never runs again by
 * itself. The helper and its keeper hold shared locks
 * on them for as long as they look after the migration, so whoever gets an exclusive lock knows
 * that a person has to decide.
 */
#ifndef MIGRATE_SOURCE_RECORD_H
#define MIGRATE_SOURCE_RECORD_H

#include <limits.h>
#include <stdint.h>
#include "base/error.h"
#include "source/guard.h"

/**
 * enum record_kind - what has happened to the program
 * @RECORD_GUARD: its guard is on, so that it stands; nothing can run at the destination
 * @RECORD_COMMIT: it was handed over
 */
enum record_kind { RECORD_GUARD, RECORD_COMMIT };

/**
 * struct record - what a person, or a later helper, needs to know
 * @start_ticks: of the process, since a pid is used again
 * @to: the destination, as the user named it
 * @guard: what keeps the process standing; its pidfd is not kept
 */
struct record {
	uint64_t start_ticks;
	char to[256];
	struct guard guard;
};

/** record_path() - path of the record in the migration's directory @dir */
void record_path(const char *dir, enum record_kind kind, char *path, size_t size);

/**
 * record_write() - on disk before it counts, and never half-written
 * Return: a descriptor with a shared lock on the record, or -1 with @err
 */
int record_write(const char *dir, enum record_kind kind, const struct record *record,
		 struct error *err);

/** record_lock() - shared lock on a record that is there; -1 with errno when it is not */
int record_lock(const char *dir, enum record_kind kind);

/** record_remove() - gone from the disk; none that is there will do as well */
int record_remove(const char *dir, enum record_kind kind, struct error *err);

/** record_read() - -1 with @err when there is none, or it is damaged */
int record_read(const char *dir, enum record_kind kind, struct record *record,
		struct error *err);

/**
 * record_process_is() - the process that the record names is there, and is the same one
 *
 * Its state does not count: it stands.
 */
bool record_process_is(const struct record *record);

/** typedef record_fn - called for each record; -1 ends the walk */
typedef int (*record_fn)(void *ctx, const char *dir, enum record_kind kind,
			 const struct record *record);

/** record_is_alone() - no helper and no keeper looks after the migration */
bool record_is_alone(const char *dir, enum record_kind kind);

/**
 * record_each() - the records of this machine, one a migration: that of COMMIT where there are both
 * @base: directory of migrations, or NULL for those that are used by default
 */
int record_each(const char *base, record_fn fn, void *ctx);

#endif
