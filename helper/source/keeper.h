/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small process that outlives the helper. Before COMMIT is recorded it lets the
 * program go on when the helper dies; from the record on it never does.
 */
#ifndef MIGRATE_SOURCE_KEEPER_H
#define MIGRATE_SOURCE_KEEPER_H

#include <stdbool.h>
#include "base/error.h"
#include "source/record.h"

struct source_keeper;

/**
 * source_keeper_start() - fork it; before there are connections or threads
 * @record: what COMMIT is recorded with; the plan of the guard is in it. Copied
 * @dir: the migration's directory, which it removes
 */
struct source_keeper *source_keeper_start(const struct record *record, const char *dir,
					  struct error *err);

/** source_keeper_fd() - hangs up when the keeper is dead; otherwise not for others to use */
int source_keeper_fd(const struct source_keeper *keeper);

/*
 * A keeper that does not answer one of these within its time is killed, so that it cannot act
 * on the request later; the caller then does what is to be done itself.
 */

/**
 * source_keeper_keep() - hold duplicates of these, in place of earlier ones of the same session
 * @session_fd: a session of the module whose events tracker has @uffd: one address space of the program.
 *	The number names the session until it is closed
 * @uffd: -1: the session has no tracker any more; the keeper forgets this session, and no other one
 *
 * When the helper dies the keeper lifts the write-protection of all address spaces in small steps.
 */
int source_keeper_keep(struct source_keeper *keeper, int session_fd, int uffd, struct error *err);

/**
 * source_keeper_throttle() - cgroup_cpu_set() of the program's group: record.cpu
 * @quota_us: 0: cgroup_cpu_restore(). The keeper does so too when the helper dies, and before it ends
 */
int source_keeper_throttle(struct source_keeper *keeper, long quota_us, struct error *err);

/**
 * source_keeper_enter() - the program goes into the guard's group, and runs on
 * @timeout_ms: as for source_keeper_guard(), which takes its place: CRIU may stop the program before that
 *
 * The kernel waits for all CPUs when a process changes its group: that is done before the program
 * stands. source_keeper_unguard() undoes it.
 */
int source_keeper_enter(struct source_keeper *keeper, int timeout_ms, struct error *err);

/**
 * source_keeper_guard() - put the guard on; again when CRIU has thawed the program
 * @timeout_ms: what is left until --max-frozen. A helper that has neither recorded COMMIT nor
 *	lifted the guard some time after that is ended by the keeper, and the program goes on
 */
int source_keeper_guard(struct source_keeper *keeper, int timeout_ms, struct error *err);
int source_keeper_unguard(struct source_keeper *keeper, struct error *err);

/**
 * source_keeper_lock() - connections_lock() at NET_FILTER_TCP, which source_keeper_unguard() undoes
 *
 * source_keeper_commit() locks at NET_FILTER_ALL.
 */
int source_keeper_lock(struct source_keeper *keeper, const struct net_addresses *addresses,
		       struct error *err);

/**
 * source_keeper_commit() - record COMMIT: from here on the program never runs here again
 * @recorded: also after a failure: the record is there
 */
int source_keeper_commit(struct source_keeper *keeper, int timeout_ms, bool *recorded,
			 struct error *err);

/**
 * source_keeper_uncommit() - nothing was started elsewhere: the record goes
 *
 * -1 when the record is still there: the program must not run here then.
 */
int source_keeper_uncommit(struct source_keeper *keeper, struct error *err);

/** source_keeper_kill() - the program is complete elsewhere: end it here */
int source_keeper_kill(struct source_keeper *keeper, struct error *err);

/** source_keeper_end() - remove the directory and what is left of the guard; frees @keeper */
void source_keeper_end(struct source_keeper *keeper, bool keep_log);

#endif
