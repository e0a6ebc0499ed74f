/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The record of COMMIT: a file in the migration's directory. From the moment at which it is on
 * disk the program here never runs again by itself. The helper and its keeper hold a shared lock
 * on it for as long as they look after the migration, so whoever gets an exclusive lock knows
 * that a person has to decide.
 */
#ifndef MIGRATE_SOURCE_RECORD_H
#define MIGRATE_SOURCE_RECORD_H

#include <limits.h>
#include <stdint.h>
#include "source/guard.h"
#include "ui/error.h"

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
void record_path(const char *dir, char *path, size_t size);

/**
 * record_write() - on disk before it counts, and never half-written
 * Return: a descriptor with a shared lock on the record, or -1 with @err
 */
int record_write(const char *dir, const struct record *record, struct error *err);

/** record_lock() - shared lock on a record that is there; -1 with errno when it is not */
int record_lock(const char *dir);

/** record_remove() - gone from the disk; none that is there will do as well */
int record_remove(const char *dir, struct error *err);

/** record_read() - -1 with @err when there is none, or it is damaged */
int record_read(const char *dir, struct record *record, struct error *err);

/**
 * record_process_is() - the process that the record names is there, and is the same one
 *
 * Its state does not count: it stands.
 */
bool record_process_is(const struct record *record);

/** typedef record_fn - called for each record; -1 ends the walk */
typedef int (*record_fn)(void *ctx, const char *dir, const struct record *record);

/**
 * record_each() - all records of this machine
 * @base: directory of migrations, or NULL for those that are used by default
 */
int record_each(const char *base, record_fn fn, void *ctx);

#endif
