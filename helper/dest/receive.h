/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RECEIVE: rounds, lists of pages, and images come, until the source says that CRIU may restore. Rounds
 * and lists come over the memory connection, what is said of them over control: a gate keeps both in step.
 */
#ifndef MIGRATE_DEST_RECEIVE_H
#define MIGRATE_DEST_RECEIVE_H

#include "dest/images.h"
#include "dest/peer.h"
#include "dest/receiver.h"

/**
 * struct receive_hooks - what is not for this object
 * @objects: processes that began, and objects that are gone
 * @maps: a new list of mappings
 * @go: RestoreGo
 */
struct receive_hooks {
	int (*objects)(void *ctx, const Migrate__Objects *objects, struct error *err);
	int (*maps)(void *ctx, const Migrate__Maps *maps, struct error *err);
	int (*go)(void *ctx, const Migrate__RestoreGo *go, struct error *err);
	void *ctx;
};

/**
 * struct receive - of the main thread unless said otherwise
 * @memory_conn, @urgent_conn: CONN_NONE until receive_connect()
 * @begun: number of the round that control announced last
 * @frozen: control said that the source stands; frames of any round may come
 * @final: all lists of the frozen state are in. These three are under the mailbox's lock
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
	uint32_t begun;
	bool frozen, final, has_threads;
	pthread_t memory_thread, urgent_thread;
};

void receive_init(struct receive *receive);

/** receive_connect() - the connection is the memory or the urgent one, and owned from here on */
int receive_connect(struct receive *receive, const struct conn *conn, struct error *err);
/** receive_is_connected() - both connections are there */
bool receive_is_connected(const struct receive *receive);

/** receive_start() - a thread for each connection */
int receive_start(struct receive *receive, struct error *err);
/** receive_stop() - shut both connections down; the threads have ended then */
void receive_stop(struct receive *receive);

/** receive_run() - act on messages until RestoreGo */
int receive_run(struct receive *receive, struct error *err);
/** receive_wait_final() - until all lists of the frozen state are in */
int receive_wait_final(struct receive *receive, struct error *err);

#endif
