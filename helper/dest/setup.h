/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ACCEPT and SETUP: the source says what it is and what is to come, this machine says whether it can
 * take that. The only place that says "one task".
 */
#ifndef MIGRATE_DEST_SETUP_H
#define MIGRATE_DEST_SETUP_H

#include "criu/criu.h"
#include "dest/objects.h"
#include "dest/peer.h"
#include "dest/places.h"

/**
 * struct setup - of the main thread
 * @images_base: where images are kept
 * @by_ms: when Setup must have come, clock_now_ms()
 * @cost_model_ns: cost_model_ns() of the restore
 * @msg, @said: Setup without its lists, once setup_take() has succeeded
 */
struct setup {
	struct peer *peer;
	struct objects *objects;
	struct budget *budget;
	struct place *place;
	const struct criu_version *criu;
	const char *images_base;
	int64_t by_ms;
	uint64_t cost_model_ns;
	Migrate__Control *msg;
	const Migrate__Setup *said;
};

/** setup_begin() - the time in which a migration must come to Setup begins */
void setup_begin(struct setup *setup);
void setup_destroy(struct setup *setup);
/** setup_late() - -1 with CODE_NETWORK when that time is over; @what: has not come */
int setup_late(const struct setup *setup, const char *what, struct error *err);
/** setup_greet() - Hello, both ways */
int setup_greet(struct setup *setup, struct error *err);
/** setup_take() - Setup comes, the objects are made, and the answer goes */
int setup_take(struct setup *setup, struct error *err);
/** setup_add_objects() - a list of objects, as it came over the wire, into @objects */
int setup_add_objects(struct objects *objects, Migrate__Object **list, size_t nr,
		      struct error *err);
/** setup_announce() - new list of the mappings of @mm, as it came over the wire */
int setup_announce(struct mm *mm, Migrate__Vma **vmas, size_t nr, struct error *err);

#endif
