/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The thread that installs pages from the mirrors, one run of each mm at a time.
 */
#ifndef MIGRATE_DEST_POPULATE_H
#define MIGRATE_DEST_POPULATE_H

#include "dest/objects.h"

/** struct populate_hooks - @failed: populating an mm has failed; the thread goes on with others */
struct populate_hooks {
	void (*failed)(void *ctx, const struct error *err);
	void *ctx;
};

/**
 * struct populate - @lock, a leaf lock, protects all fields but @objects and @thread
 * @work: an mm has pages that may be installed
 */
struct populate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool work, stop, has_thread;
	pthread_t thread;
	struct objects *objects;
	struct populate_hooks hooks;
};

/** enum step - result of populate_step() */
enum step { STEP_DID, STEP_IDLE, STEP_AGAIN, STEP_FAILED };
/** populate_step() - install one run from the mirror; mm.lock is held */
enum step populate_step(struct mm *mm, struct error *err);

void populate_init(struct populate *populate, struct objects *objects,
		   const struct populate_hooks *hooks);
void populate_destroy(struct populate *populate);

/** populate_start() - start the thread, unless it runs */
int populate_start(struct populate *populate, struct error *err);
/** populate_wake() - mm_hooks.work */
void populate_wake(struct populate *populate);
/** populate_stop() - end the thread, and wait for it; not called by the thread itself */
void populate_stop(struct populate *populate);

#endif
