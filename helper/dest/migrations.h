/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The migrations of one serve, as the accepting process sees them. Each migration is a process of
 * its own. No function but migrations_end() waits for a migration or for a caller.
 */
#ifndef MIGRATE_DEST_MIGRATIONS_H
#define MIGRATE_DEST_MIGRATIONS_H

#include <poll.h>
#include "dest/door.h"
#include "dest/log_quota.h"
#include "dest/places.h"
#include "dest/serve_options.h"

/**
 * struct migration_process - the process of one migration
 * @pid: 0: this entry is free
 * @sock: one end of a socket pair; -1 when the process has closed the other end
 * @place: the process's part of the shared memory
 * @host: address of the source, as from door_host()
 * @name: whom its TLS has proved, or empty: all connections of a migration come from the same
 * @taken: bit N: the process got memory stream N; and bit STREAMS_MAX: the urgent connection
 * @committed: the program may already run on this machine
 * @ended: the process has told its outcome, and may go on in the background
 * @kill_ms: time of SIGKILL to a process that got SIGTERM; 0: it got none
 * @killed_ms: time at which the process was killed; 0: it was not
 */
struct migration_process {
	pid_t pid;
	int sock;
	struct place *place;
	uint8_t id[CONN_ID_BYTES];
	char host[64], name[TLS_NAME_BYTES];
	unsigned int taken;
	bool committed, ended;
	int64_t kill_ms, killed_ms;
};

/**
 * struct migrations - the migrations of one serve
 * @log_quota: what each address has caused in the log
 * @starts: number of migrations that may start now; grows with time
 * @code: outcome of the last migration whose Setup was accepted
 * @done: with --once: such a migration has ended
 * @reaped: told of each child that was reaped; true: it was no migration's. NULL: nobody is told
 */
struct migrations {
	struct serve_options *opts;
	struct door *door;
	struct migration_process all[PLACES_MAX];
	struct log_quota log_quota;
	int64_t started_ms;
	unsigned int starts;
	int code;
	bool done;
	bool (*reaped)(void *ctx, pid_t pid, int status);
	void *reaped_ctx;
};

void migrations_init(struct migrations *migrations, struct serve_options *opts,
		     struct door *door);
/** migrations_run() - the process of one runs */
bool migrations_run(const struct migrations *migrations);

/** migrations_poll() - fill @fds, PLACES_MAX of them */
void migrations_poll(const struct migrations *migrations, struct pollfd *fds);

/** migrations_hear() - read the messages of the processes that are ready in @fds */
void migrations_hear(struct migrations *migrations, const struct pollfd *fds);

/** migrations_take() - give each caller with a whole preamble to a process, or turn it away */
void migrations_take(struct migrations *migrations);

/** migrations_reap() - after SIGCHLD: reap processes, also those without a place */
void migrations_reap(struct migrations *migrations);

/** migrations_tick() - kill processes that did not end in time; give up those that survive it */
void migrations_tick(struct migrations *migrations);

/**
 * migrations_end() - end the migrations before COMMIT, and wait for their end for a bounded time
 * @signals: signalfd with SIGCHLD, SIGINT and SIGTERM; SIGINT or SIGTERM ends the wait
 *
 * Migrations after COMMIT have a program that runs on this machine: their processes outlive serve.
 */
void migrations_end(struct migrations *migrations, int signals);

#endif
