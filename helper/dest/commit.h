/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From Ready on: COMMIT comes, the tasks are started, the rest of their memory comes, and Done.
 */
#ifndef MIGRATE_DEST_COMMIT_H
#define MIGRATE_DEST_COMMIT_H

#include "dest/keeper.h"
#include "dest/objects.h"
#include "dest/peer.h"
#include "dest/populate.h"
#include "dest/program.h"
#include "dest/shm.h"

/**
 * struct commit - of the main thread
 * @dir: of the migration; removed when the keeper cannot do so
 * @ledger: COMMITTED is written there, and how it ended
 * @places: given up by a migration that goes on alone; may be NULL
 * @parent_sock: dest/parent.h
 * @max_frozen_s: setup_max_frozen_s()
 * @lost: memory that neither end has, when all has come
 * @restore_ns, @verified_pages: of the restore, for the result
 * @link_lost: hook: the link is dead; a thread that writes to it must not wait for it
 * @stop: hook: stop all threads that bring and install pages
 */
struct commit {
	struct peer *peer;
	struct objects *objects;
	struct program *program;
	struct keeper *keeper;
	struct populate *populate;
	struct budget *budget;
	struct shm *shm;
	const struct ledger *ledger;
	const struct owned_dir *dir;
	struct places *places;
	int parent_sock;
	uint32_t max_frozen_s;
	struct lost lost;
	uint64_t restore_ns, verified_pages;
	void (*link_lost)(void *ctx);
	void (*stop)(void *ctx);
	void *ctx;
};

/**
 * commit_run() - see the top of this file
 * @undo: set to false as soon as COMMIT came
 * Return: enum exit_code, or -1 before COMMIT
 */
int commit_run(struct commit *commit, bool *undo, struct error *err);

#endif
