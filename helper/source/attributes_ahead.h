/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The attributes that CRIU does not carry, read while CRIU dumps: it works on one CPU, and RestoreGo waits for them.
 *
 * The program stands by then, in its frozen group, and only CRIU's code runs in it, which changes none of them. A
 * change from outside (renice, taskset) while the program stands is lost if it comes after the look, as is one that
 * comes after RestoreGo. Pending signals, the OOM score and the control group are not among them: they are read last.
 */
#ifndef MIGRATE_SOURCE_ATTRIBUTES_AHEAD_H
#define MIGRATE_SOURCE_ATTRIBUTES_AHEAD_H

#include <pthread.h>
#include <stdatomic.h>
#include "os/cgroup.h"
#include "source/tree.h"

/**
 * struct attributes_ahead - one look at all processes; zeroed is none. Of the main thread
 * @group: the one in which the program is frozen
 * @stop: what is read is not needed
 */
struct attributes_ahead {
	const struct tree *tree;
	const struct cgroup *group;
	pthread_t thread;
	atomic_bool stop;
	bool begun;
};

/**
 * attributes_ahead_start() - the program stands: begin. A caller that lacks attributes of a process afterwards reads them
 *
 * Until attributes_ahead_end() the list of processes must stay as it is.
 */
void attributes_ahead_start(struct attributes_ahead *ahead, const struct tree *tree, const struct cgroup *group);
/** attributes_ahead_end() - wait for its end. @needed: false: the program runs again, and nothing of it counts */
void attributes_ahead_end(struct attributes_ahead *ahead, bool needed);

#endif
