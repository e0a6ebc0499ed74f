/* SPDX-License-Identifier: GPL-2.0 */
/* A restore at image-cache: one connection of `criu restore --stream`, which asks for images by their names. */
#ifndef MIGRATE_SERVICES_IMAGE_RESTORE_H
#define MIGRATE_SERVICES_IMAGE_RESTORE_H

#include "services/image_loop.h"
#include "services/image_store.h"

/**
 * struct image_restores - all restores of a cache
 * @lock: of all that follows
 * @restored, @failed: connections that have read all pages they asked for and whose first task lives, and others
 */
struct image_restores {
	struct image_store *store;
	pthread_mutex_t lock;
	uint64_t restored, failed, images;
};

/** image_restore_serve() - a connection of CRIU; image_loop.ctx are the restores */
void image_restore_serve(struct image_client *client);

#endif
