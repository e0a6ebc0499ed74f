/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The program enters the guard's group, and CRIU is started, before the program stands.
 *
 * The freeze: CRIU dumps the program and is held, so that the program stands, and a guard makes it
 * stand although CRIU dies. Until COMMIT is recorded the freeze can be undone.
 *
 * With cgroup v2 the guard comes before CRIU, and with a backend that stands first, there and with v1, the last
 * scan too; CRIU takes the program out of the guard, and the guard comes once more (backend/write_protect.h).
 */
#ifndef MIGRATE_SOURCE_FREEZE_H
#define MIGRATE_SOURCE_FREEZE_H

#include "source/attributes_ahead.h"
#include "source/failure.h"
#include "source/figures.h"
#include "source/keeper.h"
#include "source/kernel_files.h"
#include "source/needs.h"
#include "source/refuse.h"
#include "source/sender.h"
#include "source/shm_compare.h"
#include "source/throttle.h"
#include "source/tree.h"
#include "source/watch.h"
#include "source/workdir.h"

/**
 * struct freeze - of the main thread
 * @tree: the program
 * @join, @ctx: see tree_follow(): a process that began since the last round
 * @sender: tells the destination which pages are gone
 * @dir: gets the images
 * @keeper, @guard: keep the program standing; @guard is the plan that the keeper has too
 * @connections: that are kept; the keeper has the plan of these too
 * @terms: of the second look at the program, which may have changed since SETUP
 * @asker: of what began since SETUP; its @ctl is NULL: nothing is asked
 * @failure: ends a dump that is not done yet
 * @watch: watches CRIU, and the clock
 * @figures: how long the program stood
 * @max_frozen_s: the limit of --max-frozen
 * @criu_log_level: of CRIU
 * @config: options for CRIU that the user hands on
 * @throttle: lifted right before the program shall stand; NULL: there is none
 * @dump: the CRIU that holds the program; NULL: none does
 * @compare: of the shared memory, while CRIU dumps
 * @ahead: attributes, likewise
 * @kernel_files: that the program keeps open
 * @entered: the keeper was asked to take the program into the guard's group
 * @guarded: the keeper was asked to put the guard on
 * @stood: the program has stood, and was followed, before CRIU came
 * @at_ns: when the program was to stand; 0: it was not
 */
struct freeze {
	struct tree *tree;
	struct source_shms *shms;
	tree_join_fn join;
	void *ctx;
	struct sender *sender;
	const struct workdir *dir;
	struct source_keeper *keeper;
	struct guard *guard;
	struct connections *connections;
	const struct inspection *terms;
	struct needs_asker asker;
	struct source_failure *failure;
	struct watch *watch;
	struct figures *figures;
	uint32_t max_frozen_s, criu_log_level;
	const struct criu_config *config;
	struct throttle *throttle;
	struct criu_dump *dump;
	struct shm_compare compare;
	struct attributes_ahead ahead;
	struct kernel_files kernel_files;
	bool entered, guarded, stood;
	uint64_t at_ns;
};

/** freeze_tree() - the program stands, and its images are there */
int freeze_tree(struct freeze *freeze, struct error *err);
/** freeze_undo() - before COMMIT: the program goes on here; nothing when it was not frozen */
void freeze_undo(struct freeze *freeze);
/** freeze_kill() - it is handed over: kill the CRIU that traces it, to be reaped by freeze_end() */
void freeze_kill(const struct freeze *freeze);
/** freeze_end() - the program was killed: end the CRIU that traces it, and wait for that */
void freeze_end(struct freeze *freeze);

#endif
