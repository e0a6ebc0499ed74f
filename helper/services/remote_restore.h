/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A restore at image-cache by the original protocol (services/remote_request.h): each image on a connection of its own.
 *
 * CRIU begins with the list of snapshots, and finishes when the program runs. In between all connections are served
 * out of one dump, also when a newer one arrives. A restore that failed says nothing: the next one begins with the list.
 */
#ifndef MIGRATE_SERVICES_REMOTE_RESTORE_H
#define MIGRATE_SERVICES_REMOTE_RESTORE_H

#include "services/image_restore.h"

/**
 * struct remote_restore - one restore at a time
 * @lock: of all that follows
 * @dump: that it reads, with a reader for the time between two connections; NULL: no restore is under way
 * @id: of it
 * @criu_fd: pidfd of the CRIU that began it; -1: not known
 * @images, @missing: asked for since the restore began
 */
struct remote_restore {
	struct image_restores *restores;
	pthread_mutex_t lock;
	struct stored_dump *dump;
	const char *id;
	int criu_fd;
	uint64_t images, missing;
};

void remote_restore_init(struct remote_restore *remote, struct image_restores *restores);

/** remote_restore_serve() - a connection of CRIU, or of a task that it restores */
void remote_restore_serve(struct remote_restore *remote, struct image_client *client);

/** remote_restore_look() - end the restore if its CRIU has ended without a word */
void remote_restore_look(struct remote_restore *remote);

/** remote_restore_close() - forget the restore; no connection is left */
void remote_restore_close(struct remote_restore *remote);

#endif
