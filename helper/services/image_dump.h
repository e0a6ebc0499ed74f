/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A dump at image-proxy: one connection of `criu dump --stream`, and the pipes of the images that CRIU writes.
 *
 * A CRIU that dies closes its pipes as one that has written all. So the images count when CRIU, as an action script in
 * its step post-dump, asks whether they arrived (image_dump_confirm()), or, without that script, when inventory.img,
 * which CRIU writes last, is there at the end of its connection. Up to the answer the program stands, and goes on
 * if it is no; without the script CRIU kills it unasked.
 */
#ifndef MIGRATE_SERVICES_IMAGE_DUMP_H
#define MIGRATE_SERVICES_IMAGE_DUMP_H

#include "services/image_loop.h"
#include "services/image_tally.h"
#include "services/image_uplink.h"

struct image_dump;
struct image_memory;
struct remote_dump;

/**
 * struct image_dumps - all dumps of a proxy
 * @remote: the dump of the original protocol, about which an action script may ask, too; or NULL
 * @memory: the dump whose pages come to a page server, the same; or NULL
 * @leave_running: see image_fate_watch()
 * @lock: of all that follows
 * @changed: a dump was answered, or has ended
 * @running: the dumps at work; NULL in a free place
 */
struct image_dumps {
	struct image_uplink *up;
	struct image_tally *tally;
	struct remote_dump *remote;
	struct image_memory *memory;
	bool leave_running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct image_dump *running[IMAGE_DUMPS_MAX];
};

void image_dumps_init(struct image_dumps *dumps, struct image_uplink *up,
		      struct image_tally *tally);

/** image_dump_serve() - a connection of CRIU or of its action script; image_loop.ctx are the dumps */
void image_dump_serve(struct image_client *client);

#endif
