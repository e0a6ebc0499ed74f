/* SPDX-License-Identifier: GPL-2.0 */
/* The keeper's own process, and what it and its helper (keeper.c) say to each other. */
#ifndef MIGRATE_DEST_KEPT_H
#define MIGRATE_DEST_KEPT_H

#include <sys/types.h>
#include "base/error.h"
#include "os/cgroup.h"
#include "os/owned_dir.h"

#define KEPT_GROUP_TIMEOUT_MS	5000	/* for the end of tasks that were killed */

enum keeper_op { KEEPER_HOLD = 1, KEEPER_RELEASE, KEEPER_SPEAK, KEEPER_SPAWN, KEEPER_COMMIT,
		 KEEPER_ABORT, KEEPER_SAID, KEEPER_DONE };

/* Request and answer; both ends are the same program. @seq: an answer has that of its request. */
struct keeper_msg {
	enum keeper_op op;
	unsigned int seq;
	int value;		/* handle, pid of the init, whether the tasks were started */
	pid_t task_pid;
	struct error err;
};

/**
 * kept_run() - the keeper's process, from its fork on; does not return
 * @dir, @group: as for keeper_start()
 * @sock: socket pair to the helper
 */
void kept_run(const struct owned_dir *dir, const struct cgroup *group, int sock);

/** kept_group_leave() - the group was only for the freezer: the program goes where the keeper is */
void kept_group_leave(const struct cgroup *group);

/**
 * kept_check_alive() - -1 with @err when no task of the frozen group is left alive
 *
 * The v1 freezer keeps a killed task, which thawing would only let die.
 */
int kept_check_alive(const struct cgroup *group, struct error *err);

#endif
