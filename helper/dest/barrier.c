// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "dest/barrier.h"

void barrier_init(struct barrier *barrier, unsigned int nr)
{
	memset(barrier, 0, sizeof(*barrier));
	barrier->nr = nr;
	pthread_mutex_init(&barrier->lock, NULL);
	pthread_cond_init(&barrier->changed, NULL);
}

void barrier_destroy(struct barrier *barrier)
{
	pthread_cond_destroy(&barrier->changed);
	pthread_mutex_destroy(&barrier->lock);
}

static int refuse(uint32_t theirs, unsigned int stream, uint32_t round, struct error *err)
{
	if (round == BARRIER_FINAL)
		return error_set(err, CODE_PEER, NULL, "memory stream %u came to FINAL, and others to the end of round %u",
				 stream + 1, theirs);
	return error_set(err, CODE_PEER, NULL, "memory stream %u came to the end of round %u, and others to that of %s",
			 stream + 1, round, theirs == BARRIER_FINAL ? "all rounds" : "another round");
}

/* Lock held, and let go while @done runs. Return: as barrier_arrive() */
static int pass(struct barrier *barrier, uint32_t round, barrier_done_fn done, void *ctx, struct error *err)
{
	int ret;

	pthread_mutex_unlock(&barrier->lock);
	ret = done(ctx, round, err);
	pthread_mutex_lock(&barrier->lock);
	barrier->arrived = 0;
	if (ret) {
		barrier->failed = true;
		barrier->why = *err;
	}
	barrier->passed++;
	pthread_cond_broadcast(&barrier->changed);
	return ret;
}

/* Lock held. The first thread that tells of a failure is heard: each says the same. */
static int has_failed(const struct barrier *barrier, struct error *err)
{
	if (!error_is_set(&barrier->why))
		return error_set(err, CODE_ABORTED, NULL, "another memory stream has failed");
	*err = barrier->why;
	return -1;
}

/* Lock held. */
static int await(struct barrier *barrier, struct error *err)
{
	uint64_t passed = barrier->passed;

	while (barrier->passed == passed && !barrier->failed)
		pthread_cond_wait(&barrier->changed, &barrier->lock);
	return barrier->failed ? has_failed(barrier, err) : 0;
}

int barrier_arrive(struct barrier *barrier, unsigned int stream, uint32_t round, barrier_done_fn done, void *ctx,
		   struct error *err)
{
	int ret;

	pthread_mutex_lock(&barrier->lock);
	if (!barrier->arrived)
		barrier->round = round;
	if (barrier->failed) {
		ret = has_failed(barrier, err);
	} else if (round != barrier->round) {
		ret = refuse(barrier->round, stream, round, err);
	} else {
		barrier->arrived |= 1u << stream;
		ret = barrier->arrived == (1u << barrier->nr) - 1 ? pass(barrier, round, done, ctx, err) :
		      await(barrier, err);
	}
	pthread_mutex_unlock(&barrier->lock);
	return ret;
}

void barrier_fail(struct barrier *barrier)
{
	pthread_mutex_lock(&barrier->lock);
	barrier->failed = true;
	pthread_cond_broadcast(&barrier->changed);
	pthread_mutex_unlock(&barrier->lock);
}
