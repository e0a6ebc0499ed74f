/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One migration at the destination, in a process of its own.
 *
 * Threads: the main thread is the state machine; one takes messages off control, one
 * each receives from the memory and the urgent connection, one answers faults, one
 * populates, one watches for signals and for the end of others. Any of them ends the
 * migration by migration_fail(); only the main thread acts on it.
 */
#ifndef MIGRATE_DEST_MIGRATION_H
#define MIGRATE_DEST_MIGRATION_H

#include <pthread.h>
#include "criu/criu.h"
#include "dest/attributes.h"
#include "dest/budget.h"
#include "dest/faults.h"
#include "dest/images.h"
#include "dest/keeper.h"
#include "dest/mm.h"
#include "dest/places.h"
#include "dest/receiver.h"
#include "dest/verify.h"
#include "session/mailbox.h"
#include "wire/conn.h"
#include "wire/control.h"

/**
 * struct serve_options - of the command line, and what this machine has
 * @max_bytes: memory for all migrations; 0: what is available
 * @places: shared by all migrations; @place: that of this one, in its process
 */
struct serve_options {
	const char *listen;
	const char *images_base;
	uint64_t max_bytes;
	bool insecure, once, json;
	struct criu_version criu;
	struct places *places;
	struct place *place;
};

/**
 * struct serve_msg - from a migration's process to the accepting one
 * @ended: with @code; else: COMMIT came, so a death from here on leaves doubt
 * @detached: it has no place any more, and goes on alone
 */
struct serve_msg {
	bool ended, detached;
	int code;
};

/** struct serve_conn - the other way, with the descriptor of a connection of this migration */
struct serve_conn {
	enum conn_kind kind;
};

/**
 * struct migration_sync - what the threads share beside the mailbox; all under its lock
 * @begun: number of the round that control announced last
 * @frozen: control said that the source stands; frames of any round may come
 * @final: all lists of the frozen state are in
 * @restored: CRIU's finish marker came
 * @rpc_fd: shut down at a failure, so that a restore that runs ends; -1 when none does
 */
struct migration_sync {
	uint32_t begun;
	bool frozen, final, restored;
	int rpc_fd;
};

/**
 * struct migration - see the top of this file; of the main thread unless said otherwise
 * @group: the program is restored in it, and frozen in it until COMMIT
 * @pending: signals that waited for the program when it was frozen at the source
 * @oom_score_adj: of the program at the source
 */
struct migration {
	const struct serve_options *opts;
	int parent_sock;
	struct control *ctl;
	struct keeper *keeper;
	struct images images;
	struct mm mm;
	struct conn memory_conn, urgent_conn;
	struct receiver memory, urgent;
	struct faults faults;
	struct lazy_server *lazy;
	struct mailbox box;
	struct migration_sync sync;
	pthread_t control_thread, memory_thread, urgent_thread, fault_thread, populate_thread;
	bool has_control, has_receivers, has_fault, has_populate, has_memory;
	Migrate__Control *setup_msg;
	const Migrate__Setup *setup;
	struct criu_task task;
	struct attributes attributes;
	struct verify verify;
	struct cgroup group;
	uint64_t pending;
	int oom_score_adj;
	struct budget budget;
	uint32_t announced_files;
	pid_t init_pid;
	atomic_int init_fd;
	int signals;
	int64_t setup_by_ms;	/* when Setup must have come, clock_now_ms() */
	uint64_t restore_ns, verified_pages;
};

/**
 * migration_run() - the whole of one migration; called in a process of its own
 * @control_fd: owned
 * @parent_sock: struct serve_conn with descriptors come in, struct serve_msg go out
 * Return: enum exit_code
 */
int migration_run(int control_fd, int parent_sock, const uint8_t *id, const char *peer,
		 const struct serve_options *opts);

/* sync.c */

void migration_sync_init(struct migration *in);
/** migration_fail() - any thread: the first one counts */
void migration_fail(struct migration *in, const struct error *err);
/** migration_state() - report_state_begin() and its sleep, which a failure cuts short */
void migration_state(struct migration *in, const char *state);
/** migration_wait() - until *@flag (one of sync's) is set; @what: how errors call it */
int migration_wait(struct migration *in, const bool *flag, int timeout_ms, const char *what,
		  struct error *err);
/**
 * migration_commit() - COMMIT was received: no failure undoes anything from here on
 *
 * -1 when something had failed before by which the program cannot run here. A lost link is no
 * such failure: the source gave the program up when it sent COMMIT.
 */
int migration_commit(struct migration *in, struct error *err);
int migration_start_control(struct migration *in, struct error *err);
int migration_start_receivers(struct migration *in, struct error *err);
int migration_start_fault(struct migration *in, struct error *err);
int migration_start_populate(struct migration *in, struct error *err);
void migration_stop_threads(struct migration *in);

/* restore.c */

/** migration_plan_group() - choose the control group in which the program is restored */
void migration_plan_group(struct migration *in);
/** migration_restore() - images are there: to tasks that stand frozen, and Ready */
int migration_restore(struct migration *in, struct error *err);

/* takeover.c */

/**
 * migration_takeover() - from Ready on: Commit, post-copy, Done
 * @undo: set to false as soon as COMMIT came
 * Return: enum exit_code, or -1 before COMMIT
 */
int migration_takeover(struct migration *in, bool *undo, struct error *err);

#endif
