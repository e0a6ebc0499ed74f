/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Takes the frames of a memory stream or of the urgent connection into the objects of a migration.
 */
#ifndef MIGRATE_DEST_RECEIVER_H
#define MIGRATE_DEST_RECEIVER_H

#include "dest/also.h"
#include "dest/barrier.h"
#include "dest/objects.h"
#include "wire/packed.h"
#include "wire/stream.h"

#define RECEIVE_FROZEN	UINT32_MAX	/* later than any round */

/* Of one: pages aside, runs, runs of ALSO, a compressed frame */
#define RECEIVER_BYTES	(FRAME_MAX_PAGES * PAGE_BYTES + (FRAME_MAX_RUNS + FRAME_ALSO_RUNS_MAX) * \
			 sizeof(struct splice_vm_run) + PACKED_BYTES)

/**
 * struct receiver_hooks - calls into the rest of the migration
 * @gate: waits until control has announced @round (or RECEIVE_FROZEN), so that its Maps are in
 *	force; -1 when the migration is given up
 * @round: the mirror has all pages of @round; @final: all lists of the frozen program have come. Of several streams one
 *	thread calls, and the others wait
 * @lost: the source cannot send some pages of @mm any more; @nr_pages of them were still lacking
 */
struct receiver_hooks {
	int (*gate)(void *ctx, uint32_t round, struct error *err);
	int (*round)(void *ctx, uint32_t round, struct error *err);
	int (*final)(void *ctx, uint64_t have, uint64_t lack, struct error *err);
	void (*lost)(void *ctx, const struct mm *mm, uint64_t nr_pages);
	void *ctx;
};

/**
 * struct receiver - one connection and its thread
 * @conn: the connection, not owned
 * @urgent: @conn is the urgent connection
 * @stream: its number, of a memory stream; @barrier: where it meets the others. NULL: there is one stream
 * @objects: the objects that frames may name
 * @place: notes progress; may be NULL
 * @pages: room for the pages of a frame after FINAL, and of a compressed one
 * @unpacker: of compressed frames; @unpacker.codecs 0: they are refused. The urgent connection has none
 * @also: whose the pages are besides
 * @round: the last round that ended
 * @final: FINAL of all objects has come over all streams; only this thread reads the field
 * @precopy_pages, @bytes: received so far; any thread may read them
 */
struct receiver {
	const struct conn *conn;
	bool urgent;
	unsigned int stream;
	struct barrier *barrier;
	struct objects *objects;
	struct place *place;
	struct receiver_hooks hooks;
	uint8_t *pages;
	struct unpacker unpacker;
	struct also also;
	uint32_t round;
	bool final;
	atomic_ulong precopy_pages, bytes;
};

/**
 * receiver_run() - body of the thread
 * Return: 0 when the source closed the connection at the end of a frame, -1 on failure
 */
int receiver_run(struct receiver *receiver, struct error *err);

/** receiver_frame() - act on one frame whose pages are still on the connection (for tests too) */
int receiver_frame(struct receiver *receiver, const struct frame *frame, struct error *err);

#endif
