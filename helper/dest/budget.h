/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much memory of this machine a migration may take. The source announces what will come before
 * it sends it; what is announced is reserved at once, so that a machine which is too small is
 * known early; and what comes beyond it is refused. All migrations of a serve reserve from one
 * total: --max-memory, or what the machine has available.
 */
#ifndef MIGRATE_DEST_BUDGET_H
#define MIGRATE_DEST_BUDGET_H

#include <pthread.h>
#include "base/error.h"
#include "dest/places.h"

/**
 * enum budget_part - what memory is taken for
 * @BUDGET_MIRROR: pages that came and are not installed yet
 * @BUDGET_IMAGES: CRIU's images, and pages that are written into them here; what is announced of them
 *	is reserved three times, up to IMAGE_BYTES_MAX: they are written anew here, one at a time
 * @BUDGET_BOOKS: sets and lists of pages; never announced, bounded by the mirror
 */
enum budget_part { BUDGET_MIRROR, BUDGET_IMAGES, BUDGET_BOOKS, BUDGET_PARTS };

/**
 * struct budget - of one migration; all figures are bytes
 * @lock: a leaf lock
 * @announced, @used: by part
 * @reserved: of the total
 * @settled: the list of all pages is known and was paid for: what comes now is counted only
 */
struct budget {
	pthread_mutex_t lock;
	struct places *places;
	struct place *place;
	uint64_t announced[BUDGET_PARTS], used[BUDGET_PARTS], reserved;
	bool settled;
};

/* All of these do nothing, and succeed, when @budget is NULL. */

void budget_init(struct budget *budget, struct places *places, struct place *place);

/**
 * budget_announce() - so much will come of @part; less than before changes nothing
 * Return: -1 with CODE_NOT_READY and the figures when the machine has not so much left
 */
int budget_announce(struct budget *budget, enum budget_part part, uint64_t bytes,
		    struct error *err);

/**
 * budget_take() - @bytes more are used
 * Return: -1 with CODE_PEER when that is more than was announced, with CODE_NOT_READY when the
 *	machine has not so much left; then nothing was taken
 */
int budget_take(struct budget *budget, enum budget_part part, uint64_t bytes, struct error *err);
void budget_give(struct budget *budget, enum budget_part part, uint64_t bytes);

/** budget_check() - -1 with CODE_PEER when @bytes in all of @part would be too much */
int budget_check(struct budget *budget, enum budget_part part, uint64_t bytes, struct error *err);

/** budget_settle() - only pages are taken in from now on that were paid for: none is refused */
void budget_settle(struct budget *budget);

/** budget_drop_images() - the images are removed */
void budget_drop_images(struct budget *budget);

/** budget_installed() - these belong to the restored program now, and will not come any more */
void budget_installed(struct budget *budget, uint64_t bytes);

#endif
