/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the processes of one serve share: how far each migration is, and the memory that each has
 * reserved. The accepting process gives a place to each migration's process.
 */
#ifndef MIGRATE_DEST_PLACES_H
#define MIGRATE_DEST_PLACES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PLACES_MAX	32	/* migrations at a time */
#define PLACE_STEP	(1UL << 20)	/* bytes of use that are progress: who sends less is too slow */

/**
 * enum place_stage - how far a migration is
 * @PLACE_FREE: nobody has the place
 * @PLACE_ACCEPT: Setup did not come yet, or was not accepted
 * @PLACE_SETUP: Setup was accepted
 */
enum place_stage { PLACE_FREE, PLACE_ACCEPT, PLACE_SETUP };

/**
 * struct place - of one migration; written by its process, but for @evicted
 * @reserved, @used: bytes of memory (dest/budget.h)
 * @progress_ms: CLOCK_MONOTONIC when the migration was last moved on (place_progress(), place_came())
 * @came: bytes of use so far
 * @evicted: others need the place or its memory: the accepting process ends the migration
 */
struct place {
	atomic_int stage;
	atomic_bool evicted;
	atomic_ulong reserved, used, came;
	atomic_llong progress_ms;
};

/**
 * struct places - in shared memory
 * @max_bytes: most that all may reserve, 0: what there is
 * @memory_short: a migration was turned down for what the others have reserved
 */
struct places {
	uint64_t max_bytes;
	atomic_bool memory_short;
	struct place place[PLACES_MAX];
};

/** places_new() - NULL with errno; before anybody is forked */
struct places *places_new(uint64_t max_bytes);

/**
 * places_detach() - in a migration's process: the places become a copy that nobody else reads
 *
 * Its place can be given to another then. Pointers stay good, for all threads. Return: -1 with errno
 */
int places_detach(struct places *places);

/** place_begin() - it is taken: PLACE_ACCEPT, nothing reserved */
void place_begin(struct place *place);
void place_end(struct place *place);

/* The migration's process; @place may be NULL. */

void place_advance(struct place *place, enum place_stage stage);
/** place_progress() - the migration took a step that no migration can repeat at will */
void place_progress(struct place *place);
/** place_came() - @bytes that were lacking are here; each PLACE_STEP of them are progress. Any thread */
void place_came(struct place *place, uint64_t bytes);
/** place_busy() - for @ms, or until place_progress(), it is this machine that the source waits for */
void place_busy(struct place *place, int64_t ms);

#endif
