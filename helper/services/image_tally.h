/* SPDX-License-Identifier: GPL-2.0 */
/* What became of the dumps of image-proxy, through all of its doors. */
#ifndef MIGRATE_SERVICES_IMAGE_TALLY_H
#define MIGRATE_SERVICES_IMAGE_TALLY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

/**
 * struct image_tally - all dumps that have ended
 * @lock: of all that follows
 * @strangers: connections that asked for nothing
 * @last: why the last dump that failed did
 */
struct image_tally {
	pthread_mutex_t lock;
	uint64_t complete, failed, strangers, images, bytes;
	struct error last;
};

/**
 * struct image_outcome - of one dump
 * @confirmed: an action script was told that all images arrived
 * @err: not set: the cache has the dump
 */
struct image_outcome {
	uint64_t images, bytes;
	bool confirmed;
	const struct error *err;
};

/** image_tally_init() - no dump yet */
void image_tally_init(struct image_tally *tally);

/** image_tally_add() - count a dump */
void image_tally_add(struct image_tally *tally, const struct image_outcome *outcome);

/** image_tally_stranger() - count a connection that asked for nothing */
void image_tally_stranger(struct image_tally *tally);

/** image_outcome_tell() - report the events "dump" or "failed" of the dump @id */
void image_outcome_tell(const struct image_outcome *outcome, const char *id);

#endif
