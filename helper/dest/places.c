// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>
#include "dest/places.h"

int64_t places_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

struct places *places_new(uint64_t max_bytes)
{
	struct places *places = mmap(NULL, sizeof(*places), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (places == MAP_FAILED)
		return NULL;
	places->max_bytes = max_bytes;
	return places;
}

void place_begin(struct place *place)
{
	atomic_store(&place->evicted, false);
	atomic_store(&place->reserved, 0);
	atomic_store(&place->used, 0);
	atomic_store(&place->progress_ms, places_now_ms());
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
		atomic_store(&place->progress_ms, places_now_ms());
}

void place_busy(struct place *place, int64_t ms)
{
	if (place)
		atomic_store(&place->progress_ms, places_now_ms() + ms);
}
