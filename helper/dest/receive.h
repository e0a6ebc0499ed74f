/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RECEIVE: rounds, lists of pages, and images come, until RestoreGo. Rounds and lists come over the
 * memory streams, their announcements over control: a gate keeps these connections in step, and a barrier the streams.
 */
#ifndef MIGRATE_DEST_RECEIVE_H
#define MIGRATE_DEST_RECEIVE_H

#include <stdatomic.h>
#include "dest/arrived.h"
#include "dest/images.h"
#include "dest/peer.h"
#include "dest/receiver.h"

/**
 * struct receive_hooks - messages that this object passes on
 * @objects: takes processes that began, and objects that are gone
 * @maps: takes a new list of mappings
 * @needs: takes what these need, and answers
 * @go: takes RestoreGo
 */
struct receive_hooks {
	int (*objects)(void *ctx, const Migrate__Objects *objects, struct error *err);
	int (*maps)(void *ctx, const Migrate__Maps *maps, struct error *err);
	int (*needs)(void *ctx, const Migrate__Needs *needs, struct error *err);
	int (*go)(void *ctx, const Migrate__RestoreGo *go, struct error *err);
	void *ctx;
};

struct receive;

/** struct receive_stream - one memory stream; @conn: CONN_NONE until receive_connect() */
struct receive_stream {
	struct receive *receive;
	struct conn conn;
	struct receiver receiver;
	pthread_t thread;
	bool has_thread;
};

/**
 * struct receive - used by the main thread only, except @begun, @frozen and @final, which the
 *	mailbox's lock protects
 * @memory: @streams of them, as Hello said; @urgent_conn: CONN_NONE until receive_connect()
 * @barrier: where the streams meet
 * @max_frozen_s: setup_max_frozen_s()
 * @begun: number of the round that control announced last
 * @frozen: Frozen has come: frames of any round may follow
 * @final: all lists of the frozen program have come
 * @arrived: of the memory threads, one at a time, until they have ended
 * @said_ms: when a round was last told of; likewise
 * @nr_lost: frames that said what is lost; any thread
 */
struct receive {
	struct peer *peer;
	struct objects *objects;
	struct budget *budget;
	struct images *images;
	struct place *place;
	struct receive_hooks hooks;
	struct receive_stream memory[STREAMS_MAX];
	unsigned int streams;
	struct barrier barrier;
	struct conn urgent_conn;
	struct receiver urgent;
	struct arrived arrived;
	uint32_t max_frozen_s, begun;
	bool frozen, final, has_urgent;
	int64_t said_ms;
	atomic_uint nr_lost;
	pthread_t urgent_thread;
};

void receive_init(struct receive *receive);

/** receive_expect() - the source makes so many memory streams, 1 to STREAMS_MAX; before receive_connect() */
void receive_expect(struct receive *receive, unsigned int streams);
/** receive_connect() - take a memory stream or the urgent connection, which @receive then owns */
int receive_connect(struct receive *receive, const struct conn *conn, struct error *err);
/** receive_lacks() - the name of a connection that was not made yet; NULL: all are */
const char *receive_lacks(const struct receive *receive);
/** receive_fail() - the migration is given up: no stream waits for another one */
void receive_fail(struct receive *receive);

/** receive_cost() - bytes of memory that the streams beyond the first one take */
uint64_t receive_cost(const struct receive *receive);

/** receive_allow() - the source may send pages in these codecs (CODEC_BIT()). Before receive_start() */
void receive_allow(struct receive *receive, uint32_t codecs);
/** receive_start() - start a thread for each connection; receive_stop() after a failure too */
int receive_start(struct receive *receive, struct error *err);
/** receive_end_urgent() - nothing goes over urgent any more, and who writes to it does not wait */
void receive_end_urgent(struct receive *receive);
/** receive_stop() - shut the connections down, and wait for the threads */
void receive_stop(struct receive *receive);

/** receive_run() - act on messages until RestoreGo */
int receive_run(struct receive *receive, struct error *err);
/** receive_wait_final() - wait until all lists of the frozen program have come */
int receive_wait_final(struct receive *receive, struct error *err);

#endif
