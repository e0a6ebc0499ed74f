/* SPDX-License-Identifier: GPL-2.0 */
/* What the rounds of pre-copy and the scans between them have in common. */
#ifndef MIGRATE_SOURCE_PRECOPY_STATE_H
#define MIGRATE_SOURCE_PRECOPY_STATE_H

#include "session/mailbox.h"
#include "source/figures.h"
#include "source/options.h"
#include "source/sender.h"
#include "source/shm.h"
#include "source/stop_rule.h"
#include "source/syncfs.h"
#include "source/throttle.h"
#include "source/tree.h"

/**
 * struct precopy - the rounds of one migration; of the main thread
 * @tree: whose memory is sent
 * @shms: its shared memory
 * @sender: onto the memory connection
 * @box: gets the destination's answers; a failure ends the rounds
 * @hold: freezes the program where a backend has to look at it; otherwise not used
 * @join, @ctx: see tree_follow()
 * @sync: files move beside the memory of each round; NULL: they do not
 * @mode, @rule, @on_stall: as precopy_run() finds them: the owner fills in what is allowed. @on_stall may turn
 *	mode precopy to auto
 * @throttle: of @on_stall; NULL: there is none
 * @rounds: so many were sent
 * @bytes_per_s: measured; 0 when nothing was
 * @shared_pages: of shared memory, that went in the last round: about so many will have changed again
 * @scanned_ns: when the running epoch began
 * @said_beaten: the user knows that the fixed cost alone is above what is allowed
 */
struct precopy {
	struct tree *tree;
	struct source_shms *shms;
	struct sender *sender;
	struct control *ctl;
	struct mailbox *box;
	struct figures *figures;
	struct backend_hold hold;
	tree_join_fn join;
	void *ctx;
	struct syncfs *sync;
	enum migrate_mode mode;
	struct stop_rule rule;
	enum on_stall on_stall;
	struct throttle *throttle;
	uint32_t rounds;
	double bytes_per_s;
	uint64_t shared_pages, scanned_ns;
	bool said_beaten;
};

#endif
