/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ACCEPT and SETUP: the source describes itself and the program, and the destination accepts or
 * refuses.
 */
#ifndef MIGRATE_DEST_SETUP_H
#define MIGRATE_DEST_SETUP_H

#include "criu/criu.h"
#include "dest/kept_addresses.h"
#include "dest/mounts.h"
#include "dest/namespaces.h"
#include "dest/objects.h"
#include "dest/peer.h"
#include "dest/places.h"
#include "dest/sender_rule.h"

/**
 * struct setup - used by the main thread only
 * @images_base: directory of images
 * @terms: of addresses that move here
 * @config: options for CRIU that programs may ask for
 * @rule: what this sender may send
 * @by_ms: time by which Setup must have come, clock_now_ms()
 * @cost_model_ns: cost_model_ns() of the restore
 * @codecs: CODEC_BIT() of those in which the source may send pages
 * @asked: how often Needs has come
 * @files, @servers, @addresses: how many Setup and Needs have named; each has one limit
 * @kept: the addresses that move with the program
 * @granted: of those, the ones that Setup asks for
 * @mounts: of a mount namespace of the program's own
 * @namespaces: all that it has of its own
 * @msg, @said: Setup without its lists, after setup_take() has succeeded
 */
struct setup {
	struct peer *peer;
	struct objects *objects;
	struct budget *budget;
	struct place *place;
	const struct criu_version *criu;
	const char *images_base;
	const struct address_terms *terms;
	const struct criu_config *config;
	const struct sender_rule *rule;
	int64_t by_ms;
	uint64_t cost_model_ns;
	uint32_t codecs;
	int asked;
	size_t files, servers, addresses;
	struct kept_addresses kept;
	struct criu_config granted;
	struct mounts mounts;
	struct namespaces namespaces;
	Migrate__Control *msg;
	const Migrate__Setup *said;
};

/** setup_begin() - start the time within which Setup must come */
void setup_begin(struct setup *setup);
void setup_destroy(struct setup *setup);
/** setup_late() - -1 with CODE_NETWORK when that time is over; @what: the missing message */
int setup_late(const struct setup *setup, const char *what, struct error *err);
/** setup_greet() - exchange Hello */
int setup_greet(struct setup *setup, unsigned int *streams, struct error *err);
/** setup_take() - receive Setup, check it, make the objects, and answer */
int setup_take(struct setup *setup, struct error *err);
/** setup_max_frozen_s() - --max-frozen of the source, in seconds, or the most that it takes */
uint32_t setup_max_frozen_s(const struct setup *setup);
/**
 * setup_take_needs() - check what processes need that began since Setup, and answer
 *
 * A refusal is for the source to act on. It may ask NEEDS_ASKED_MAX times, and for as many files, servers and
 * addresses as Setup may name, all together: it could otherwise guess at files.
 */
int setup_take_needs(struct setup *setup, const Migrate__Needs *needs, struct error *err);
/** setup_add_objects() - take a list of objects from the wire */
int setup_add_objects(struct objects *objects, Migrate__Object **list, size_t nr,
		      struct error *err);
/** setup_announce() - take a new list of the mappings of @mm from the wire */
int setup_announce(struct mm *mm, Migrate__Vma **vmas, size_t nr, struct error *err);

#endif
