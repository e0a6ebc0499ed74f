/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The migrations of one serve, as the accepting process sees them: each is a process of its own.
 * Nothing here waits for one of them, nor for a caller, but migrations_end().
 */
#ifndef MIGRATE_DEST_MIGRATIONS_H
#define MIGRATE_DEST_MIGRATIONS_H

#include <poll.h>
#include "dest/door.h"
#include "dest/places.h"
#include "dest/serve_options.h"

/**
 * struct migration_process - one process
 * @pid: 0: free
 * @sock: socket pair to it; -1 when it has closed its end
 * @place: its part of the shared memory
 * @host: where it came from, as door_host() has it
 * @taken: bit N: the connection of kind N was handed over
 * @committed: the program may run here already
 * @ended: it has said its outcome, and may go on in the background
 * @kill_ms: it was told to end, and is killed then; 0: it was not told
 * @killed_ms: it was killed then; 0: it was not
 */
struct migration_process {
	pid_t pid;
	int sock;
	struct place *place;
	uint8_t id[CONN_ID_BYTES];
	char host[64];
	unsigned int taken;
	bool committed, ended;
	int64_t kill_ms, killed_ms;
};

/**
 * struct migrations - all of them
 * @starts: how many may be started now; it grows with time
 * @code: outcome of the last one that came as far as an accepted Setup
 * @done: with --once: that one has ended
 */
struct migrations {
	struct serve_options *opts;
	struct door *door;
	struct migration_process all[PLACES_MAX];
	int64_t started_ms;
	unsigned int starts;
	int code;
	bool done;
};

void migrations_init(struct migrations *migrations, struct serve_options *opts,
		     struct door *door);

/** migrations_poll() - fill @fds, PLACES_MAX of them */
void migrations_poll(const struct migrations *migrations, struct pollfd *fds);

/** migrations_hear() - take in what the processes say, as @fds tells */
void migrations_hear(struct migrations *migrations, const struct pollfd *fds);

/** migrations_take() - callers that said what they want get their process, or go */
void migrations_take(struct migrations *migrations);

/** migrations_reap() - after SIGCHLD; those too that have no place any more */
void migrations_reap(struct migrations *migrations);

/** migrations_tick() - kill processes that did not end in time; a process that survives SIGKILL is let go */
void migrations_tick(struct migrations *migrations);

/**
 * migrations_end() - end those before COMMIT, and wait for them for a bounded time
 * @signals: signalfd with SIGCHLD, SIGINT and SIGTERM: one of the latter ends the waiting
 *
 * Those after COMMIT have a program that runs here: they go on without us.
 */
void migrations_end(struct migrations *migrations, int signals);

#endif
