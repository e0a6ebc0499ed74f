/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small process that outlives its migrate-helper. Before COMMIT it kills what
 * was restored when the helper dies; after COMMIT it holds the mirror and the
 * userfaultfds, so that no page ever reads as zero because a helper died.
 */
#ifndef MIGRATE_DEST_KEEPER_H
#define MIGRATE_DEST_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"
#include "dest/kept_addresses.h"
#include "dest/nsinit.h"
#include "os/owned_dir.h"
#include "session/ledger.h"

struct keeper;

/**
 * keeper_start() - fork it; call it before any thread is started
 * @dir: directory of this migration, which was made already; the keeper removes it at the end
 * @group: the planned control group in which the program is restored and frozen; copied. The
 *	keeper makes it for keeper_spawn(), and removes it
 * @ledger: the keeper writes STARTED and ABORTED there
 */
struct keeper *keeper_start(const struct owned_dir *dir, const struct cgroup *group,
			    const struct ledger *ledger, struct error *err);

/**
 * keeper_hold() - give the keeper a duplicate of @fd; any thread
 *
 * It is the keeper's when this returns, also when the helper dies next. There are hundreds at once, so nothing waits
 * for an answer: keeper_holds_all() asks for it once.
 */
int keeper_hold(struct keeper *keeper, int fd, int *handle, struct error *err);
/** keeper_release() - the keeper closes it, before it does anything that it is asked for later; any thread */
void keeper_release(struct keeper *keeper, int handle);

/* All of these wait for the keeper's answer, and may be called by any thread. */

/**
 * keeper_holds_all() - the keeper confirms that it holds all that it was given
 *
 * -1 from the first failure on, and nothing is started then.
 */
int keeper_holds_all(struct keeper *keeper, struct error *err);

/**
 * keeper_speak() - give it a duplicate of the control connection
 *
 * Should the helper die before COMMIT, the keeper tells the source, once the restored tasks are
 * dead, that none of them ever ran, and hangs up.
 */
int keeper_speak(struct keeper *keeper, int control_fd, struct error *err);

/** keeper_spawn() - nsinit_start(); @init_pid: the init in our namespace */
int keeper_spawn(struct keeper *keeper, const struct nsinit_plan *plan, int *rpc_fd,
		 pid_t *init_pid, struct error *err);

/** keeper_lend() - nsinit_lend(), after keeper_spawn() */
int keeper_lend(struct keeper *keeper, int fd, int *number, struct error *err);

/**
 * keeper_close_addresses() - the addresses that move with the program cannot be reached here from now on
 *
 * The keeper opens and announces them when it has started the program, and forgets them when it is given up.
 */
int keeper_close_addresses(struct keeper *keeper, const struct kept_addresses *kept,
			   struct error *err);

/**
 * keeper_commit() - thaw the restored tasks, which outlive the keeper from here on
 * @nr_processes: none is started unless so many are alive
 * @started: filled, also after a failure: false: no task has run, and none is left
 *
 * A keeper that is killed in the middle is stood in for. The tasks move to the group that the
 * keeper is in; one that cannot be moved stays, and so does the group.
 */
int keeper_commit(struct keeper *keeper, size_t nr_processes, bool *started, struct error *err);

/**
 * keeper_abort() - kill what was restored; 0: nothing of it is left
 *
 * Should the helper die before keeper_said(), the keeper tells the source.
 */
int keeper_abort(struct keeper *keeper, struct error *err);
/** keeper_said() - the source was told: the keeper removes the directory and the group, and ends */
int keeper_said(struct keeper *keeper, struct error *err);

/**
 * keeper_done() - nothing is lacking: let go of everything; the keeper ends
 * @signal: by which the program's first task was killed; 0 when it lives, or ended otherwise; -1
 *	after a failure: nobody knows
 */
int keeper_done(struct keeper *keeper, int *signal, struct error *err);

/**
 * keeper_undo() - keeper_abort() when the keeper itself has died: end what it started
 * @init_fd: pidfd of the namespace's init, or -1. The kernel kills it with the keeper
 * Return: true when nothing of what was restored is left
 */
bool keeper_undo(struct keeper *keeper, int init_fd);

/**
 * keeper_clean_up() - keeper_done() when the keeper itself has died
 * @init_fd: as for keeper_undo()
 */
void keeper_clean_up(const struct owned_dir *dir, int init_fd);

/** keeper_fd() - hangs up when the keeper has died; only for poll() */
int keeper_fd(const struct keeper *keeper);
/** keeper_pid() - its process */
pid_t keeper_pid(const struct keeper *keeper);
void keeper_free(struct keeper *keeper);

#endif
