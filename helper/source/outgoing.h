/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One migration at the source.
 *
 * Threads: the main thread is the state machine; one takes messages off control, one
 * watches descriptors and signals, one answers requests on the urgent connection. Any
 * of them ends the migration by outgoing_fail(); only the main thread acts on it.
 */
#ifndef MIGRATE_SOURCE_OUTGOING_H
#define MIGRATE_SOURCE_OUTGOING_H

#include <pthread.h>
#include <stdbool.h>
#include "backend/backend.h"
#include "criu/criu.h"
#include "os/maps.h"
#include "os/proc.h"
#include "session/mailbox.h"
#include "source/figures.h"
#include "source/guard.h"
#include "source/keeper.h"
#include "source/loss.h"
#include "source/options.h"
#include "source/reconnect.h"
#include "source/sender.h"
#include "source/stop_rule.h"
#include "source/terminals.h"
#include "source/workdir.h"
#include "wire/conn.h"
#include "wire/control.h"

/**
 * struct outgoing_sync - what the threads share beside the mailbox; all under its lock
 * @dump_fd: of the CRIU that is held; -1: none. Its hang-up is a failure
 * @rpc_fd: of a CRIU that dumps and is not held yet; -1: none. Shut down at a failure
 * @until_ns: CLOCK_MONOTONIC; when it passes before COMMIT, that is a failure. 0: no limit
 * @connected: before that there is nobody to wake: a signal ends the process
 * @kick: eventfd: @dump_fd, @until_ns or the mailbox changed
 */
struct outgoing_sync {
	int dump_fd, rpc_fd, kick, signals;
	uint64_t until_ns;
	bool connected;
};

/**
 * struct outgoing - see the top of this file; of the main thread unless said otherwise
 * @there: pages of which the destination has the latest content
 * @left: pages that it lacks and that nobody has sent yet, from FINAL on; under @left_lock
 * @populated: all there is, when frozen
 * @mode, @verify: what was asked for, or else what the backend can do
 * @peer_fixed_ns: what a restore takes there
 * @frozen_at_ns: when CRIU was asked to stop the program
 */
struct outgoing {
	const struct migrate_options *opts;
	uint8_t id[CONN_ID_BYTES];
	char id_text[2 * CONN_ID_BYTES + 1];
	struct proc_status target;
	struct criu_version criu;
	struct workdir dir;
	struct guard guard;
	struct source_keeper *keeper;
	bool guarded;
	struct control *ctl;
	int memory_fd, urgent_fd;
	struct backend *backend;
	enum migrate_mode mode;
	bool verify;
	struct sender memory, urgent;
	struct vma_list vmas;
	struct page_set there, left, populated;
	pthread_mutex_t left_lock;
	bool pushed;
	struct criu_dump *dump;
	struct criu_task task;
	uint64_t peer_fixed_ns, frozen_at_ns;
	uint32_t last_round;
	struct figures figures;
	struct losses losses;
	struct reconnects reconnects;
	struct terminals terminals;
	struct mailbox box;
	struct outgoing_sync sync;
	pthread_t control_thread, watch_thread, urgent_thread;
	bool has_control, has_watch, has_urgent;
};

/* sync.c */

int outgoing_sync_init(struct outgoing *out, struct error *err);
/** outgoing_fail() - any thread: the first one counts */
void outgoing_fail(struct outgoing *out, const struct error *err);
/**
 * outgoing_fail_unless_committed() - outgoing_fail()
 * @undoes: the failure ends the migration only before COMMIT; after it, it would take from the
 *	program that runs elsewhere the pages that are here
 * Return: false when COMMIT is, or is being, recorded, and nothing was done for that reason
 */
bool outgoing_fail_unless_committed(struct outgoing *out, const struct error *err, bool undoes);
/** outgoing_kick() - the thread that watches looks anew at what it waits for */
void outgoing_kick(struct outgoing *out);
/** outgoing_state() - say that a state is entered; -1 when the migration has failed */
int outgoing_state(struct outgoing *out, const char *state, struct error *err);
/**
 * outgoing_verdict() - the destination's answer to COMMIT
 *
 * A failure elsewhere says nothing of what became of the program: after one the answer has
 * another VERDICT_MS.
 * Return: NULL after a failure: control_is_unstarted() is then true or false for good
 */
Migrate__Control *outgoing_verdict(struct outgoing *out, struct error *err);
/**
 * outgoing_watch_rpc() - CRIU has begun to dump and a failure shall end it; -1: it is held, or gone
 * @ctx: struct outgoing
 *
 * CRIU lets the program go when its socket has hung up, at its next word.
 */
void outgoing_watch_rpc(void *ctx, int rpc_fd);
/** outgoing_limit() - see outgoing_sync.until_ns */
void outgoing_limit(struct outgoing *out, uint64_t until_ns);
/** outgoing_left_ms() - until the limit; 0 when there is none, or it has passed */
int outgoing_left_ms(struct outgoing *out);
/** outgoing_watch_dump() - a CRIU is held from here on; -1: it is not any more */
void outgoing_watch_dump(struct outgoing *out, int dump_fd);
/** outgoing_commit() - failures do not undo anything from here on; -1 when one was before */
int outgoing_commit(struct outgoing *out, struct error *err);
/** outgoing_reason() - why it failed really: what the others saw may say more than @err */
void outgoing_reason(struct outgoing *out, struct error *err);
/** outgoing_start_watch() - from here on signals end it in order (watch.c) */
int outgoing_start_watch(struct outgoing *out, struct error *err);
/**
 * outgoing_start_threads() - when there are connections
 * @urgent_body: of the thread that answers requests; it gets @out
 */
int outgoing_start_threads(struct outgoing *out, void *(*urgent_body)(void *out),
			   struct error *err);
/** outgoing_stop_watch() - before the keeper, the guard or CRIU are ended: no failure counts now */
void outgoing_stop_watch(struct outgoing *out);
void outgoing_stop_threads(struct outgoing *out);

/* refuse.c: what is not carried, by name */

int outgoing_refuse(struct outgoing *out, struct error *err);
/** outgoing_refuse_frozen() - look again when the program stands: nothing changes any more */
int outgoing_refuse_frozen(struct outgoing *out, struct error *err);

/* setup.c: Setup and its answer, and Maps */

int outgoing_setup(struct outgoing *out, struct error *err);
int outgoing_send_maps(struct outgoing *out, const struct vma_list *list, struct error *err);

/* announce.c */

/** outgoing_announce_memory() - the destination will have what it has, and @more */
int outgoing_announce_memory(struct outgoing *out, const struct page_set *more, struct error *err);
/** outgoing_announce_images() - all files in the images directory */
int outgoing_announce_images(struct outgoing *out, struct error *err);

/* choose.c */

/** outgoing_choose_backend() - open the backend; what it cannot do changes the mode, and is said */
int outgoing_choose_backend(struct outgoing *out, struct error *err);

/* precopy.c */

int outgoing_precopy(struct outgoing *out, struct error *err);
/** outgoing_follows() - what the program writes before it moves is looked for */
bool outgoing_follows(const struct outgoing *out);
/**
 * outgoing_scan() - end an epoch, take what was written; DROPPED is told at once
 * @stands: the program stands already
 */
int outgoing_scan(struct outgoing *out, bool stands, struct page_set *dirty, struct error *err);
/** outgoing_filter() - take out of @dirty what does not go through the mirror */
void outgoing_filter(const struct vma_list *vmas, struct page_set *dirty);
/** outgoing_send_stale() - these were written and are not sent: the mirror's copy is old */
int outgoing_send_stale(struct outgoing *out, const struct page_set *dirty, struct error *err);

/* final.c: from the freeze to FINAL */

int outgoing_freeze(struct outgoing *out, struct error *err);
int outgoing_final(struct outgoing *out, struct error *err);

/* repair.c */

/** outgoing_repair() - mend in CRIU's images what a restore from them would lose */
int outgoing_repair(struct outgoing *out, struct error *err);

/* images.c */

int outgoing_send_images(struct outgoing *out, struct error *err);

/* serve_pages.c */

/** outgoing_serve_requests() - answer requests until the connection ends; -1 when it broke */
int outgoing_serve_requests(struct outgoing *out);
/** outgoing_urgent_run() - outgoing_serve_requests() as a thread's body: its end may be a failure */
void *outgoing_urgent_run(void *out);
/** outgoing_push() - send all that is left, once */
int outgoing_push(struct outgoing *out, struct error *err);

/* digest.c */

int outgoing_send_digests(struct outgoing *out, struct error *err);

/* cost.c: what it takes whatever is dirty, kept per machine */

uint64_t outgoing_known_cost(const struct outgoing *out);
void outgoing_keep_cost(const struct outgoing *out);

#endif
