/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RESTORE: from images that came to tasks that stand frozen, and Ready. The namespaces of the program,
 * and the CRIU in them, are there before: while the program still runs.
 */
#ifndef MIGRATE_DEST_RESTORE_H
#define MIGRATE_DEST_RESTORE_H

#include "dest/images.h"
#include "dest/keeper.h"
#include "dest/mounts.h"
#include "dest/namespaces.h"
#include "dest/objects.h"
#include "dest/peer.h"
#include "dest/populate.h"
#include "dest/program.h"
#include "dest/sender_rule.h"
#include "dest/shm.h"
#include "dest/verify.h"
#include "session/frozen_time.h"

/**
 * struct restore - of the main thread unless said otherwise
 * @compare: the source asks for a comparison of all memory
 * @keeps_tcp: TCP connections go on here
 * @own_network: the program has a network namespace of its own
 * @config: options for CRIU that the source asks for, and this destination grants
 * @mounts: of a mount namespace of the program's own
 * @namespaces: that Setup says it has
 * @rule: what this sender may send
 * @restored: CRIU's finish marker came; under the mailbox's lock
 * @cancel: shut down at a failure, so that a CRIU that runs ends; -1 when none does; under the
 *	mailbox's lock
 * @rpc_fd: of the CRIU that waits in the namespace; -1: there is none
 * @leave: moves that CRIU out of the group of the tasks
 * @comm, @cost_model_ns: of the source, and cost_model_ns() for it
 * @frozen: what the time goes to from RestoreGo to Ready
 * @took_ns: how long the restore took; @cost_ns: of that, without what the source and the link took
 * @verified_pages: how many pages were compared
 */
struct restore {
	struct peer *peer;
	struct objects *objects;
	struct images *images;
	struct program *program;
	struct keeper *keeper;
	struct populate *populate;
	struct place *place;
	struct shm shm;
	struct verify verify;
	bool compare, keeps_tcp, own_network, restored;
	const struct criu_config *config;
	struct mounts *mounts;
	const struct namespaces *namespaces;
	const struct sender_rule *rule;
	int cancel, rpc_fd;
	struct criu_leave leave;
	const char *comm;
	struct frozen_time frozen;
	uint64_t took_ns, cost_ns, verified_pages, cost_model_ns;
};

/** restore_cancel() - a CRIU that runs ends; the mailbox's lock is held */
void restore_cancel(struct restore *restore);
/**
 * restore_park() - make the namespaces of the program and start the CRIU in them that will restore it
 *
 * Nothing of it depends on the frozen program.
 */
int restore_park(struct restore *restore, struct error *err);
/** restore_run() - to tasks that stand frozen, and Ready */
int restore_run(struct restore *restore, struct error *err);
/**
 * restore_keep_cost() - what it took, for predictions
 *
 * Not before COMMIT: a source that begins migrations and gives them up could teach this machine that all take long.
 */
void restore_keep_cost(const struct restore *restore);

#endif
