/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A dump at image-proxy by the original protocol (services/remote_request.h): pre-dumps, each with a snapshot id of its
 * own, and the dump that ends with a request to finish. For the cache all of it is one dump, whose images have the
 * names "SNAPSHOT_ID/NAME": a restore needs all of them, or none.
 *
 * CRIU reads images of earlier snapshots back. So the proxy keeps all images until the dump is over.
 *
 * CRIU finishes a dump that failed as one that succeeded, and an image that CRIU did not live to write ends as one that
 * it has written. So the images count when the newest snapshot has an inventory.img, which CRIU writes last, and no
 * action script was told that they did not arrive. Without an action script CRIU finishes after it has killed
 * the program.
 */
#ifndef MIGRATE_SERVICES_REMOTE_DUMP_H
#define MIGRATE_SERVICES_REMOTE_DUMP_H

#include "services/image_loop.h"
#include "services/remote_state.h"

/** remote_dump_init() - @max_bytes: of all images */
int remote_dump_init(struct remote_dump *remote, struct image_uplink *up,
		     struct image_tally *tally, uint64_t max_bytes, struct error *err);

/** remote_dump_serve() - a connection of CRIU */
void remote_dump_serve(struct remote_dump *remote, struct image_client *client);

/**
 * remote_dump_ask() - the action script @script asks: did all images of its CRIU's dump arrive?
 * @root_fd: pidfd of the program's root, or -1; set to -1 when the dump takes it
 */
bool remote_dump_ask(struct remote_dump *remote, const struct image_client *script, int *root_fd);

/** remote_dump_look() - end a dump whose CRIU has ended after its action script's yes, and did not finish */
void remote_dump_look(struct remote_dump *remote);

/** remote_dump_close() - give up what is under way; no connection is left */
void remote_dump_close(struct remote_dump *remote);

#endif
