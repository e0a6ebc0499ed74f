/* SPDX-License-Identifier: GPL-2.0 */
/* Setup and its answer: both sides compare what would make the restore fail in the end. */
#ifndef MIGRATE_SOURCE_SETUP_H
#define MIGRATE_SOURCE_SETUP_H

#include "os/net_addresses.h"
#include "session/cost.h"
#include "session/mailbox.h"
#include "source/options.h"
#include "source/shm.h"
#include "source/tree.h"

/**
 * struct setup - what Setup says
 * @shms: the shared memory of @tree, as of shms_find()
 * @mode, @verify: see struct choice
 * @shape: of the whole program: what a restore will take depends on it
 * @ghost_bytes: of deleted files, which images carry
 * @tmpfs_bytes: of files of tmpfs of its own, which images carry; @tmpfs_pages: of those, pages of objects
 * @kept: addresses that move too, with --tcp keep; else NULL
 * @config: options for CRIU, of which some are asked of the destination; or NULL
 * @box: gets the answer
 * @codecs: in: CODEC_BIT() of those in which pages may go; out: of these, the destination's
 * @stale: set when the destination refuses, and the program does not need all that was asked for any more
 */
struct setup {
	const struct migrate_options *opts;
	struct tree *tree;
	struct source_shms *shms;
	const struct criu_version *criu;
	enum migrate_mode mode;
	bool verify;
	uint32_t max_frozen_s;
	const struct shape *shape;
	uint64_t ghost_bytes, tmpfs_bytes, tmpfs_pages;
	const struct net_addresses *kept;
	const struct criu_config *config;
	struct control *ctl;
	struct mailbox *box;
	uint32_t *codecs;
	bool *stale;
};

/**
 * setup_run() - send Setup, and wait for the answer
 * @peer_fixed_ns: what a restore takes at the destination; 0: it does not know
 */
int setup_run(const struct setup *setup, uint64_t *peer_fixed_ns, struct error *err);

/** setup_send_maps() - Maps: a list of mappings of object @object that replaces the one before */
int setup_send_maps(struct control *ctl, uint32_t object, const struct vma_list *list,
		    struct error *err);
/**
 * setup_send_changes() - Objects: what began and what is gone since the last one
 *
 * Processes that are gone are forgotten then.
 */
int setup_send_changes(struct control *ctl, struct tree *tree, struct error *err);

#endif
