/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RECEIVE: rounds, lists of pages, and images come, until RestoreGo. Rounds and lists come over the
 * memory connection, their announcements over control: a gate keeps both connections in step.
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

/**
 * struct receive - used by the main thread only, except @begun, @frozen and @final, which the
 *	mailbox's lock protects
 * @memory_conn, @urgent_conn: CONN_NONE until receive_connect()
 * @max_frozen_s: setup_max_frozen_s()
 * @begun: number of the round that control announced last
 * @frozen: Frozen has come: frames of any round may follow
 * @final: all lists of the frozen program have come
 * @arrived: of the memory thread, until that has ended
 * @said_ms: when a round was last told of; of the memory thread
 * @nr_lost: frames that said what is lost; any thread
 */
struct receive {
	struct peer *peer;
	struct objects *objects;
	struct budget *budget;
	struct images *images;
	struct place *place;
	struct receive_hooks hooks;
	struct conn memory_conn, urgent_conn;
	struct receiver memory, urgent;
	struct arrived arrived;
	uint32_t max_frozen_s, begun;
	bool frozen, final, has_threads;
	int64_t said_ms;
	atomic_uint nr_lost;
	pthread_t memory_thread, urgent_thread;
};

void receive_init(struct receive *receive);

/** receive_connect() - take the memory or the urgent connection, which @receive then owns */
int receive_connect(struct receive *receive, const struct conn *conn, struct error *err);
/** receive_is_connected() - true when both connections are made */
bool receive_is_connected(const struct receive *receive);

/** receive_start() - start a thread for each connection */
int receive_start(struct receive *receive, struct error *err);
/** receive_end_urgent() - nothing goes over urgent any more, and who writes to it does not wait */
void receive_end_urgent(struct receive *receive);
/** receive_stop() - shut both connections down, and wait for the threads */
void receive_stop(struct receive *receive);

/** receive_run() - act on messages until RestoreGo */
int receive_run(struct receive *receive, struct error *err);
/** receive_wait_final() - wait until all lists of the frozen program have come */
int receive_wait_final(struct receive *receive, struct error *err);

#endif
