/* SPDX-License-Identifier: GPL-2.0 */
/* What the connections of one dump of the original protocol have in common (services/remote_dump.h). */
#ifndef MIGRATE_SERVICES_REMOTE_STATE_H
#define MIGRATE_SERVICES_REMOTE_STATE_H

#include "services/image_fate.h"
#include "services/image_store.h"
#include "services/image_tally.h"
#include "services/image_uplink.h"

#define REMOTE_APPENDED_MAX	16	/* images of one dump in append mode */

/** enum remote_state - @REMOTE_VOID: it has failed, and its CRIU has not finished yet */
enum remote_state { REMOTE_IDLE, REMOTE_OPEN, REMOTE_SEALED, REMOTE_VOID };

/**
 * struct remote_dump - one dump at a time
 * @id: by which the cache knows it
 * @leave_running: see image_fate_watch()
 * @lock: of all that follows
 * @store: the images
 * @dump: in @store; NULL: none. @number: at the uplink
 * @criu: pid that wrote last
 * @turn: connections that have begun, or asked for nothing
 * @users: connections that use @dump. @intakes: those that write
 * @snapshot: of the newest image
 * @appended: images that may grow: the cache gets them at the end
 * @confirmed: an action script was told that all images arrived; @fate tells whether the program is gone
 */
struct remote_dump {
	struct image_uplink *up;
	struct image_tally *tally;
	const char *id;
	bool leave_running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct image_store store;
	struct stored_dump *dump;
	int number, wake_fd;
	enum remote_state state;
	pid_t criu;
	uint64_t turn;
	unsigned int users;
	struct remote_intake *intakes;
	char snapshot[IMAGE_NAME_BYTES + 1];
	struct stored_image *appended[REMOTE_APPENDED_MAX];
	size_t nr_appended;
	bool confirmed;
	struct image_fate fate;
	struct error err;
};

#endif
