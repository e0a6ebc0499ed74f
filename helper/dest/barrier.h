/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the threads of all memory streams meet: at the end of each round, and at FINAL. A thread that has taken the last
 * frame of a round from its stream takes nothing more from the stream until all other streams have brought theirs. So no page of
 * a round is taken in before every stream has delivered all of the round before, whatever a source sends, and by which
 * stream it sends an address.
 *
 * Until then the bytes of a stream that is early wait in its socket, and no lock is held.
 */
#ifndef MIGRATE_DEST_BARRIER_H
#define MIGRATE_DEST_BARRIER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

#define BARRIER_FINAL	UINT32_MAX	/* behind all rounds */

/**
 * struct barrier - private to barrier.c, but for its owner's barrier_init()
 * @nr: streams
 * @round: at whose end the first one has arrived; @arrived: bit N: stream N has; @passed: rounds that all have ended
 * @failed: nobody waits any longer; @why: if @done has failed
 */
struct barrier {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int nr;
	uint32_t round, arrived;
	uint64_t passed;
	bool failed;
	struct error why;
};

/**
 * barrier_done_fn - all streams have brought all of @round (or BARRIER_FINAL): called once, by the thread that came last,
 *	while the others still wait
 */
typedef int (*barrier_done_fn)(void *ctx, uint32_t round, struct error *err);

void barrier_init(struct barrier *barrier, unsigned int nr);
void barrier_destroy(struct barrier *barrier);

/**
 * barrier_arrive() - stream @stream has brought all of @round: wait for the others
 *
 * Return: 0 when all have; -1 with CODE_PEER when the others are in another round, with CODE_ABORTED after barrier_fail(), or
 * what @done returned
 */
int barrier_arrive(struct barrier *barrier, unsigned int stream, uint32_t round, barrier_done_fn done, void *ctx,
		   struct error *err);

/** barrier_fail() - the migration is given up, or a stream will not come */
void barrier_fail(struct barrier *barrier);

#endif
