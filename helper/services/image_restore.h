/* SPDX-License-Identifier: GPL-2.0 */
/* A restore at image-cache: one connection of `criu restore --stream`, which asks for images by their names. */
#ifndef MIGRATE_SERVICES_IMAGE_RESTORE_H
#define MIGRATE_SERVICES_IMAGE_RESTORE_H

#include "services/image_loop.h"
#include "services/image_store.h"

/**
 * struct image_restores - all restores of a cache
 * @lock: of all that follows
 * @restored, @failed: connections that have read all pages they asked for and whose first task runs its program, and others
 */
struct image_restores {
	struct image_store *store;
	pthread_mutex_t lock;
	uint64_t restored, failed, images;
};

/**
 * struct restore_outcome - of one restore
 * @missing: images that it asked for in vain
 * @found: there was a dump for it
 * @dropped: the dump is forgotten
 * @err: may be NULL
 */
struct restore_outcome {
	const char *id;
	uint64_t images, missing;
	bool found, restored, dropped;
	const struct error *err;
};

/** image_restores_add() - report and count a restore */
void image_restores_add(struct image_restores *restores, const struct restore_outcome *outcome);

/** image_restore_serve() - a connection of CRIU; image_loop.ctx are the restores */
void image_restore_serve(struct image_client *client);

#endif
