/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_SOURCE_OPTIONS_H
#define MIGRATE_SOURCE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "backend/backend.h"
#include "source/compress.h"
#include "wire/given.h"
#include "wire/tls_keys.h"

/**
 * enum migrate_mode - what is sent when
 * @MODE_AUTO: rounds while they help, the rest after the program has moved
 * @MODE_PRECOPY: rounds, the rest while it stands
 * @MODE_POSTCOPY: everything after it has moved
 */
enum migrate_mode { MODE_AUTO, MODE_PRECOPY, MODE_POSTCOPY };

/**
 * enum on_stall - what to do when more rounds would not bring the program below --max-downtime
 * @STALL_STOP: stop it; the mode says what becomes of the rest
 * @STALL_POSTCOPY: stop it; the rest follows after it has moved, in mode precopy too
 * @STALL_THROTTLE: give the program less CPU time, step by step, until rounds shrink; then as STALL_STOP
 * @STALL_ABORT: give the migration up
 */
enum on_stall { STALL_STOP, STALL_POSTCOPY, STALL_THROTTLE, STALL_ABORT };

#define SHARED_STORAGE_MAX	32
#define RECONNECT_MAX		32

/** struct migrate_options - of the command line */
struct migrate_options {
	pid_t pid;
	const char *to;
	bool listens;			/* at @to, in place of connecting to it */
	enum migrate_mode mode;
	enum backend_kind backend;
	enum backend_tracker tracker;
	uint32_t max_downtime_ms;
	bool limits_downtime;		/* the user gave it: what is beyond it by dump and restore alone is refused */
	bool force_downtime;		/* but not with this */
	enum on_stall on_stall;
	uint64_t bandwidth;		/* bytes a second of memory; 0: as fast as the link is */
	enum compress_ask compress;
	bool compress_said;		/* else COMPRESS_AUTO is for a backend that copies */
	uint32_t max_rounds;
	uint32_t max_frozen_s;		/* from the freeze to the record of COMMIT */
	uint32_t link_timeout_ms;	/* of the control connection, from freeze to COMMIT */
	const char *images_base;	/* NULL: the default */
	const char *ledger;		/* directory; NULL: the default */
	const char *result;		/* file for the result as JSON, or NULL */
	uint32_t criu_log_level;
	uint64_t accepted_losses;	/* bit 1 << enum loss */
	const char *shared_storage[SHARED_STORAGE_MAX];	/* without a slash at the end */
	size_t nr_shared_storage;
	const char *reconnect[RECONNECT_MAX];	/* unix servers: paths, or "@NAME" */
	size_t nr_reconnect;
	const char *replace_tty;	/* file for descriptors of a terminal, or NULL */
	bool keeps_tcp;			/* --tcp keep */
	const char *criu_config;	/* file of options for CRIU, or NULL */
	uint32_t streams;		/* memory connections; 0: not said */
	struct given given;		/* descriptors that the caller opened */
	const char *fs_driver;		/* command that moves files over one of them, or NULL */
	struct tls_options tls;
	bool verify, json;
};

const char *migrate_mode_name(enum migrate_mode mode);

/** migrate_mode_find() - by its name; -1: there is no such mode */
int migrate_mode_find(const char *name);

/** on_stall_find() - by its name; -1: there is no such thing */
int on_stall_find(const char *name);

/** source_migration_run() - move one program away, as @opts say. Return: enum exit_code */
int source_migration_run(const struct migrate_options *opts);

#endif
