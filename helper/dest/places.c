// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "dest/places.h"

struct places *places_new(uint64_t max_bytes)
{
	struct places *places = mmap(NULL, sizeof(*places), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (places == MAP_FAILED)
		return NULL;
	places->max_bytes = max_bytes;
	return places;
}

int places_detach(struct places *places)
{
	uint64_t max_bytes = places->max_bytes;

	/* one atomic step: a thread with a pointer writes into the private copy from now on */
	if (mmap(places, sizeof(*places), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -1;
	places->max_bytes = max_bytes;
	return 0;
}

void place_begin(struct place *place)
{
	atomic_store(&place->evicted, false);
	atomic_store(&place->came, 0);
	atomic_store(&place->lines, 0);
	atomic_store(&place->reserved, 0);
	atomic_store(&place->used, 0);
	atomic_store(&place->progress_ms, clock_now_ms());
	atomic_store(&place->stage, PLACE_ACCEPT);
}

void place_end(struct place *place)
{
	atomic_store(&place->stage, PLACE_FREE);
	atomic_store(&place->reserved, 0);
	atomic_store(&place->used, 0);
}

void place_advance(struct place *place, enum place_stage stage)
{
	if (place)
		atomic_store(&place->stage, stage);
	place_progress(place);
}

void place_progress(struct place *place)
{
	if (place)
		atomic_store(&place->progress_ms, clock_now_ms());
}

void place_came(struct place *place, uint64_t bytes)
{
	int64_t now = clock_now_ms();

	if (!place || atomic_fetch_add(&place->came, bytes) % PLACE_STEP + bytes < PLACE_STEP)
		return;
	/* place_busy() may have set a later time */
	if (atomic_load(&place->progress_ms) < now)
		atomic_store(&place->progress_ms, now);
}

void place_busy(struct place *place, int64_t ms)
{
	if (place)
		atomic_store(&place->progress_ms, clock_now_ms() + ms);
}
