/* SPDX-License-Identifier: GPL-2.0 */
/* The keeper's own process, and what it and its helper (keeper.c) say to each other. */
#ifndef MIGRATE_DEST_KEPT_H
#define MIGRATE_DEST_KEPT_H

#include "base/error.h"
#include "os/cgroup.h"
#include "os/owned_dir.h"
#include "session/keeper.h"
#include "session/ledger.h"

#define KEPT_GROUP_TIMEOUT_MS	5000	/* for the end of tasks that were killed */

/**
 * enum keeper_op - what the helper asks; the value of a message
 * @KEEPER_HOLD: the handle of the descriptor that comes along; no answer
 * @KEEPER_HOLDS_ALL: fails when one of them could not be held
 * @KEEPER_RELEASE: the handle; no answer
 * @KEEPER_SPEAK: control comes along
 * @KEEPER_SPAWN: pid of the program; answer: pid of the init, and CRIU's RPC socket
 * @KEEPER_LEND: a descriptor comes along; answer: its number in the init
 * @KEEPER_CLOSE: struct kept_addresses comes along
 * @KEEPER_COMMIT: number of processes; answer: 1: the tasks were started
 * @KEEPER_DONE: answer: the signal that killed the program
 */
enum keeper_op { KEEPER_HOLD = 1, KEEPER_HOLDS_ALL, KEEPER_RELEASE, KEEPER_SPEAK, KEEPER_SPAWN,
		 KEEPER_LEND, KEEPER_CLOSE, KEEPER_COMMIT, KEEPER_ABORT, KEEPER_SAID, KEEPER_DONE };

/** kept_start() - start the process; arguments as for keeper_start() */
int kept_start(struct keeper_process *process, const struct owned_dir *dir,
	       const struct cgroup *group, const struct ledger *ledger, struct error *err);

/** kept_group_leave() - the group was only for the freezer: the program goes where the keeper is */
void kept_group_leave(const struct cgroup *group);

/**
 * kept_check_alive() - -1 with @err when a process of the frozen group has died
 * @expected: so many processes were restored. Frozen processes begin no others
 *
 * The v1 freezer keeps a killed task, which thawing would only let die.
 */
int kept_check_alive(const struct cgroup *group, size_t expected, struct error *err);

#endif
