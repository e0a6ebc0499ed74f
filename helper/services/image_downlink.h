/* SPDX-License-Identifier: GPL-2.0 */
/* image-cache's end of the connection to image-proxy: a thread that takes the images of all dumps into the store. */
#ifndef MIGRATE_SERVICES_IMAGE_DOWNLINK_H
#define MIGRATE_SERVICES_IMAGE_DOWNLINK_H

#include <stdatomic.h>
#include "services/image_store.h"
#include "wire/liveness.h"

/** struct downlink_dump - a dump's number; @dump NULL: free, or @refused: what comes for it is thrown away */
struct downlink_dump {
	struct stored_dump *dump;
	bool refused;
};

/** struct downlink_image - an image's number; @number: of its dump */
struct downlink_image {
	struct stored_image *image;
	uint32_t number;
	bool taken;
};

/**
 * struct image_downlink - the connection
 * @pipe: carries data from the socket into a memfd
 * @null_fd: for data that are thrown away
 * @ended: the thread has ended
 * @on_end: called when it has
 * @err: why the connection ended; not set: the proxy closed it
 */
struct image_downlink {
	struct image_store *store;
	struct conn conn;
	struct liveness live;
	int pipe[2], null_fd;
	struct downlink_dump dumps[IMAGE_DUMPS_MAX];
	struct downlink_image images[IMAGES_OPEN_MAX];
	uint64_t complete, failed, bytes;
	pthread_t thread;
	bool started;
	atomic_bool ended;
	void (*on_end)(void *ctx);
	void *ctx;
	struct error err;
};

/** image_downlink_run() - greet the proxy, and take frames up to the end of the connection */
void image_downlink_run(struct image_downlink *down);

/** image_downlink_open() - image_downlink_run() in a thread; @fd is the downlink's from now on */
int image_downlink_open(struct image_downlink *down, struct image_store *store, int fd,
			struct error *err);

/** image_downlink_close() - end the traffic, and wait for the thread */
void image_downlink_close(struct image_downlink *down);

#endif
