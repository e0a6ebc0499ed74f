/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The records of a migration: two files in the migration's directory. The guard's record exists
 * while the program is stopped. Once the record of COMMIT is on disk, the source's program never
 * runs again by itself. The helper and its keeper hold shared locks on the records as long as the
 * two live. A process that gets an exclusive lock knows that both are dead: a person has to decide.
 */
#ifndef MIGRATE_SOURCE_RECORD_H
#define MIGRATE_SOURCE_RECORD_H

#include <limits.h>
#include <stdint.h>
#include "base/error.h"
#include "os/cgroup_cpu.h"
#include "session/ledger.h"
#include "source/connections.h"

/**
 * enum record_kind - how far the hand-over of the program went
 * @RECORD_GUARD: the guard stops the program; the destination has not started its copy
 * @RECORD_COMMIT: the program was handed over: the destination may have started its copy
 */
enum record_kind { RECORD_GUARD, RECORD_COMMIT };

/**
 * struct record - one record, as `status` and `release` read it after the helper died
 * @start_ticks: start time of the process, since the kernel uses a pid again
 * @to: the destination, as the user named it
 * @guard: the guard that stops the process; @guard.pidfd is not stored
 * @connections: which are kept; of these the name of the filter is stored
 * @ledger: of the migration; not stored
 * @cpu: the limit that --on-stall throttle lowers; not stored, since it is lifted before the program stands
 */
struct record {
	uint64_t start_ticks;
	char to[256];
	struct guard guard;
	struct connections connections;
	struct ledger ledger;
	struct cgroup_cpu cpu;
};

/** record_path() - path of the record in the migration's directory @dir */
void record_path(const char *dir, enum record_kind kind, char *path, size_t size);

/** record_id() - of the migration with the directory @dir */
void record_id(const char *dir, char id[LEDGER_ID_BYTES]);

/**
 * record_write() - write the record, and fsync() it; a reader never sees half of it
 * Return: a descriptor with a shared lock on the record, or -1 with @err
 */
int record_write(const char *dir, enum record_kind kind, const struct record *record,
		 struct error *err);

/** record_lock() - open an existing record with a shared lock; the descriptor, or -1 with errno */
int record_lock(const char *dir, enum record_kind kind);

/** record_remove() - remove the record from the disk; 0 also when there is no record */
int record_remove(const char *dir, enum record_kind kind, struct error *err);

/** record_read() - 0, or -1 with @err when the record does not exist or is damaged */
int record_read(const char *dir, enum record_kind kind, struct record *record,
		struct error *err);

/**
 * record_process_is() - the process that the record names still exists, stopped or not
 *
 * A process with the same pid and another start time is another process. A zombie does not count.
 */
bool record_process_is(const struct record *record);

/** record_stands() - the process exists, or processes of its program are in the guard's group */
bool record_stands(const struct record *record);

/** typedef record_fn - called for each record; -1 ends the walk */
typedef int (*record_fn)(void *ctx, const char *dir, enum record_kind kind,
			 const struct record *record);

/** record_is_alone() - the helper and the keeper of the migration are both dead */
bool record_is_alone(const char *dir, enum record_kind kind);

/**
 * record_each() - call @fn with one record of each migration: COMMIT, or else the guard's
 * @base: directory of migrations; NULL: the default directories
 */
int record_each(const char *base, record_fn fn, void *ctx);

#endif
