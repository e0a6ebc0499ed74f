/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread at the source that watches signals, the program, the keeper, a CRIU that is held, and
 * the clock. A signal, an end or a time-out that the thread sees becomes a failure of the migration.
 */
#ifndef MIGRATE_SOURCE_WATCH_H
#define MIGRATE_SOURCE_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "session/mailbox.h"

/**
 * struct watch_hooks - called by the thread: a signal, an end, a time-out
 * @fail: a failure, as failure_raise_unless_committed()
 * @too_long: called after @fail for --max-frozen: a wait for the destination's word returns too
 * @signal: the user wants an end; @name: of the signal
 */
struct watch_hooks {
	bool (*fail)(void *ctx, const struct error *err, bool undoes);
	void (*too_long)(void *ctx);
	void (*signal)(void *ctx, const char *name);
};

/**
 * struct watch_target - a process of the program
 * @fd: poll() with @events says that it has exited, or called exec
 */
struct watch_target {
	pid_t pid;
	int fd;
	short events;
};

/**
 * struct watch - see the top of this file
 * @box: tells whether the migration has failed, is committed, or closes
 * @hooks, @ctx, @max_frozen_s, @log: filled by the owner before watch_start(). @log is the path
 *	of CRIU's log, for people
 * @targets: of watch_add_target()
 * @keeper_fd: its hang-up is a failure before COMMIT
 * @signals: signalfd
 * @kick: eventfd: @dump_fd, @until_ns or the mailbox changed
 * @lock: covers the rest; no other lock is taken under it
 * @dump_fd: of the CRIU that is held; -1: none. Its hang-up is a failure
 * @until_ns: CLOCK_MONOTONIC; when it passes before COMMIT, that is a failure. 0: no limit
 */
struct watch {
	struct mailbox *box;
	const struct watch_hooks *hooks;
	void *ctx;
	uint32_t max_frozen_s;
	const char *log;
	struct watch_target *targets;
	size_t nr_targets;
	int keeper_fd, signals, kick;
	pthread_t thread;
	bool runs;
	pthread_mutex_t lock;
	int dump_fd;
	uint64_t until_ns;
};

/** watch_init() - SIGINT, SIGTERM and SIGHUP are blocked from here on; before there are threads */
int watch_init(struct watch *watch, struct mailbox *box, struct error *err);
/** watch_destroy() - stops it first; nothing when the struct is all zeros */
void watch_destroy(struct watch *watch);

/** watch_add_target() - before watch_start() */
int watch_add_target(struct watch *watch, const struct watch_target *target, struct error *err);

/** watch_start() - from here on signals are told to @hooks */
int watch_start(struct watch *watch, struct error *err);
/** watch_stop() - before the keeper, the guard or CRIU are ended: no failure counts now */
void watch_stop(struct watch *watch);

/** watch_dump() - a CRIU is held from here on; -1: it is not any more */
void watch_dump(struct watch *watch, int dump_fd);
/** watch_limit() - see watch.until_ns */
void watch_limit(struct watch *watch, uint64_t until_ns);
/** watch_left_ms() - until the limit; 0 when there is none, or it has passed */
int watch_left_ms(struct watch *watch);

#endif
