/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One migration at the source: the course, and the parts that it wires. A part knows the parts that
 * its struct points to, and never the whole.
 *
 * Threads: the main thread is the course; one takes messages off control, one answers requests on
 * the urgent connection (threads.h); one for each memory stream but the first sends pages while the main thread waits
 * for them (streams.h); one watches descriptors, signals and the clock (watch.h). Each
 * may raise a failure (failure.h). The main thread alone acts on it.
 *
 * Locks: those of struct streams, struct mailbox, struct watch, struct source_mm, struct shm_compare and of the keeper's
 * process are leaves. A thread holds one of them at a time, and calls a hook that locks under none.
 */
#ifndef MIGRATE_SOURCE_MIGRATION_H
#define MIGRATE_SOURCE_MIGRATION_H

#include <limits.h>
#include "session/outcome.h"
#include "source/choose.h"
#include "source/freeze.h"
#include "source/join.h"
#include "source/outlook.h"
#include "source/push.h"
#include "source/streams.h"
#include "source/syncfs.h"
#include "source/threads.h"
#include "source/throttle.h"
#include "wire/conn.h"

/**
 * struct source_migration - see the top of this file; of the main thread but for what threads share
 * @id: random; ties the connections together
 * @criu: the version here
 * @log: path of CRIU's log
 * @hold, @guard: how the program is frozen: for a moment, or until it has moved
 * @connections: that are kept, with --tcp keep
 * @streams: of @memory, where there are several connections
 * @pace: of @memory; @compress too, where there is one connection, and the sum of all streams' in the end
 * @throttle: of --on-stall throttle; otherwise not planned
 * @ledger: the entry of this end; the keeper has it too
 * @choice: mode and verify as the user asked, changed where the backend cannot do them
 * @shms: shared memory of the tree
 * @terms: of a look at the program: refused, or lost
 * @join: of processes that are added to the tree
 * @outlook: how long the program will stand
 * @sync: files that a manager moves; @outcome: what the manager is told at the end
 * @stale: the destination refused what the program does not need any more
 */
struct source_migration {
	const struct migrate_options *opts;
	uint8_t id[CONN_ID_BYTES];
	struct tls_keys keys;
	char id_text[2 * CONN_ID_BYTES + 1], log[PATH_MAX];
	struct criu_version criu;
	struct criu_config config;
	struct workdir dir;
	struct guard guard;
	struct connections connections;
	struct source_keeper *keeper;
	struct hold hold;
	struct choice choice;
	struct tree tree;
	struct source_mounts mounts;
	struct source_shms shms;
	struct inspection terms;
	struct losses losses;
	struct join join;
	struct link_set links;
	struct sender memory, urgent;
	struct streams streams;
	struct pace pace;
	struct compress compress;
	struct throttle throttle;
	struct ledger ledger;
	struct mailbox box;
	struct source_failure failure;
	struct watch watch;
	struct threads threads;
	struct freeze freeze;
	struct push push;
	struct figures figures;
	struct outlook outlook;
	struct syncfs sync;
	struct outcome_report outcome;
	bool stale;
};

/** source_migration_prepare() - migration_begin.c: what can be known without the destination */
int source_migration_prepare(struct source_migration *migration, struct error *err);

/* migration_end.c: how a migration ends. Each returns the exit status. */

/** source_migration_undo() - before COMMIT: the program goes on here, first of all */
int source_migration_undo(struct source_migration *migration, struct error *err);
/**
 * source_migration_take_back() - the program goes on here, although COMMIT was recorded
 *
 * The destination knows that nothing of the program ever ran there, and that nothing of it is left.
 */
int source_migration_take_back(struct source_migration *migration, struct error *err);
/**
 * source_migration_doubt() - both sides stay as they are; nothing here may let the program run
 * @died: the destination said that the program was started, and has been killed since
 */
int source_migration_doubt(struct source_migration *migration, bool died, struct error *err);
/** source_migration_finish() - the program is complete at the destination: it is killed here */
int source_migration_finish(struct source_migration *migration, struct error *err);

#endif
