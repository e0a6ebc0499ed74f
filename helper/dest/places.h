/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared memory of the processes of one serve: the stage of each migration, and the memory that
 * each has reserved. The accepting process gives a place to each migration's process.
 */
#ifndef MIGRATE_DEST_PLACES_H
#define MIGRATE_DEST_PLACES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PLACES_MAX	32	/* migrations at a time */
#define PLACE_STEP	(1UL << 20)	/* so many lacking bytes received count as progress */

/**
 * enum place_stage - stage of a migration
 * @PLACE_FREE: no migration has the place
 * @PLACE_ACCEPT: Setup has not come yet, or was refused
 * @PLACE_SETUP: Setup was accepted
 */
enum place_stage { PLACE_FREE, PLACE_ACCEPT, PLACE_SETUP };

/**
 * struct place - place of one migration, whose process writes all fields but @evicted
 * @reserved, @used: bytes of memory (dest/budget.h)
 * @progress_ms: CLOCK_MONOTONIC of the last progress (place_progress(), place_came())
 * @came: lacking bytes received so far
 * @lines: of the log so far (tell_count())
 * @evicted: another migration needs the place or its memory: the accepting process ends this one
 */
struct place {
	atomic_int stage;
	atomic_bool evicted;
	atomic_ulong reserved, used, came;
	atomic_llong progress_ms;
	atomic_uint lines;
};

/**
 * struct places - in shared memory
 * @max_bytes: most bytes that all migrations may reserve; 0: what the machine has available
 * @memory_short: a reservation has failed that would fit without the other migrations
 * @told: a migration's process has told the manager the outcome
 */
struct places {
	uint64_t max_bytes;
	atomic_bool memory_short, told;
	struct place place[PLACES_MAX];
};

/** places_new() - map the places, before the first fork; NULL with errno */
struct places *places_new(uint64_t max_bytes);

/**
 * places_detach() - in a migration's process: replace the shared memory by a private copy
 *
 * The acceptor can then give the place to another migration. Pointers of all threads stay valid.
 * Return: 0; -1 with errno
 */
int places_detach(struct places *places);

/** place_begin() - take the place: PLACE_ACCEPT, nothing reserved */
void place_begin(struct place *place);
void place_end(struct place *place);

/* Called by the migration's process; @place may be NULL. */

void place_advance(struct place *place, enum place_stage stage);
/** place_progress() - note a step that a hostile source cannot repeat at will */
void place_progress(struct place *place);
/** place_came() - count @bytes that were lacking; each PLACE_STEP is progress. Any thread */
void place_came(struct place *place, uint64_t bytes);
/** place_busy() - no eviction for @ms or until place_progress(): this machine is at work */
void place_busy(struct place *place, int64_t ms);

#endif
