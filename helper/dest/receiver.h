/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames of the memory or the urgent connection into the objects of a migration.
 */
#ifndef MIGRATE_DEST_RECEIVER_H
#define MIGRATE_DEST_RECEIVER_H

#include "dest/objects.h"
#include "wire/stream.h"

#define RECEIVE_FROZEN	UINT32_MAX	/* later than any round */

/**
 * struct receiver_hooks - what the rest of the helper must know
 * @gate: waits until control is as far as @round (or RECEIVE_FROZEN), so that Maps are in
 *	force; -1 when given up
 * @round: all of @round is in the mirror
 * @final: all lists of the frozen state are there
 */
struct receiver_hooks {
	int (*gate)(void *ctx, uint32_t round, struct error *err);
	int (*round)(void *ctx, uint32_t round, struct error *err);
	int (*final)(void *ctx, uint64_t have, uint64_t lack, struct error *err);
	void *ctx;
};

/**
 * struct receiver - one connection, one thread
 * @conn: not owned
 * @urgent: it is the urgent one
 * @objects: what frames are of
 * @place: told of steps; may be NULL
 * @pages: room for the pages of a frame, for what comes after FINAL
 * @round: the last one that ended
 * @final: FINAL came of all objects; on the memory connection only this thread looks at it
 * @precopy_pages, @bytes: received so far; for progress, any thread may look
 */
struct receiver {
	const struct conn *conn;
	bool urgent;
	struct objects *objects;
	struct place *place;
	struct receiver_hooks hooks;
	uint8_t *pages;
	uint32_t round;
	bool final;
	atomic_ulong precopy_pages, bytes;
};

/**
 * receiver_run() - body of the thread
 * Return: 0 when the source closed the connection at the end of a frame, -1 on failure
 */
int receiver_run(struct receiver *receiver, struct error *err);

/** receiver_frame() - act on one frame, pages still on the connection (for tests too) */
int receiver_frame(struct receiver *receiver, const struct frame *frame, struct error *err);

#endif
