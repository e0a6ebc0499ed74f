/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Limits the memory that a migration takes. The source announces the bytes that it will send, and
 * the destination reserves these bytes at once, so that a machine that is too small is known
 * early. The destination refuses bytes beyond the announced ones. All migrations of a serve
 * reserve from one total: --max-memory, or the memory that the machine has available.
 */
#ifndef MIGRATE_DEST_BUDGET_H
#define MIGRATE_DEST_BUDGET_H

#include <pthread.h>
#include "base/error.h"
#include "dest/places.h"

/**
 * enum budget_part - use of memory
 * @BUDGET_MIRROR: received pages that are not installed yet
 * @BUDGET_IMAGES: CRIU's images, and pages that the helper writes into them. The budget reserves
 *	the announced bytes three times, up to IMAGE_BYTES_MAX, since the helper writes images
 *	anew, one at a time
 * @BUDGET_BOOKS: sets and lists of pages; never announced, bounded by the mirror
 */
enum budget_part { BUDGET_MIRROR, BUDGET_IMAGES, BUDGET_BOOKS, BUDGET_PARTS };

/**
 * struct budget - budget of one migration; all figures are bytes
 * @lock: a leaf lock
 * @announced, @used: by part
 * @listed: of the pages that are in a final list, of all objects
 * @reserved: this migration's part of the total
 * @settled: see budget_settle(): further pages are counted, not refused
 */
struct budget {
	pthread_mutex_t lock;
	struct places *places;
	struct place *place;
	uint64_t announced[BUDGET_PARTS], used[BUDGET_PARTS], listed, reserved;
	bool settled;
};

/* With @budget NULL all functions do nothing and succeed. */

void budget_init(struct budget *budget, struct places *places, struct place *place);

/**
 * budget_announce() - reserve for @bytes that the source announces; fewer than before change
 * nothing
 * Return: 0; -1 with CODE_NOT_READY and the figures when the machine has too little memory
 */
int budget_announce(struct budget *budget, enum budget_part part, uint64_t bytes,
		    struct error *err);

/**
 * budget_take() - count @bytes more as used
 * Return: 0; -1 with CODE_PEER when the sum exceeds the announced bytes, with CODE_NOT_READY when
 *	the machine has too little memory; nothing is counted then
 */
int budget_take(struct budget *budget, enum budget_part part, uint64_t bytes, struct error *err);
void budget_give(struct budget *budget, enum budget_part part, uint64_t bytes);

/**
 * budget_list() - @bytes more are in final lists of pages, and will be memory of the program
 *
 * The lists of all objects share one limit: what was announced for BUDGET_MIRROR.
 * Return: 0; -1 with CODE_PEER: nothing is counted then
 */
int budget_list(struct budget *budget, uint64_t bytes, struct error *err);
/** budget_unlist() - @bytes of them were listed twice */
void budget_unlist(struct budget *budget, uint64_t bytes);
/** budget_listed() - how many bytes are in the lists; UINT64_MAX without a budget */
uint64_t budget_listed(struct budget *budget);

/**
 * budget_settle() - the images of all objects are complete: from now on only pages come that are
 * listed, so refuse none
 */
void budget_settle(struct budget *budget);

/** budget_drop_images() - the images were removed: give back their part */
void budget_drop_images(struct budget *budget);

/** budget_installed() - @bytes belong to the restored program now: give back their reservation */
void budget_installed(struct budget *budget, uint64_t bytes);

#endif
