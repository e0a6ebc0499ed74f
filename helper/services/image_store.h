/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The images that image-cache holds in memory, by (id of the dump, name).
 *
 * A dump is served from COMMIT on, so that no restore sees a part of it. When the link is lost between SEALED and
 * COMMIT the dump is in doubt: its CRIU may have killed the program, or let it go on. Then all requests that wait get
 * their no, and a restore that is started afterwards is served: a person has looked.
 */
#ifndef MIGRATE_SERVICES_IMAGE_STORE_H
#define MIGRATE_SERVICES_IMAGE_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "services/image_frame.h"

#define STORED_IMAGES_MAX	(1U << 20)	/* images of one dump */
#define STORED_OVERHEAD		512U		/* counts for each dump and image beside its bytes: a peer may send empty ones */

struct stored_image;

/** struct image_part - @bytes of the image @from, from @at on, which are at @start of another image */
struct image_part {
	const struct stored_image *from;
	uint64_t start, at, bytes;
};

/**
 * struct stored_image - an image; whole ones do not change
 * @fd: memfd of a large image; -1: @data has its bytes
 * @parts: in place of both: it is put together out of these, in ascending order
 */
struct stored_image {
	char name[IMAGE_NAME_BYTES + 1];
	int fd;
	uint8_t *data;
	size_t room;
	struct image_part *parts;
	size_t nr_parts;
	uint64_t bytes;
	bool whole;
};

/** enum dump_state - @DUMP_DOUBT: see above */
enum dump_state { DUMP_COMING, DUMP_SEALED, DUMP_DOUBT, DUMP_COMPLETE };

/**
 * struct stored_dump - the images of a dump
 * @images: tree by name (tsearch)
 * @link_fd: the connection that it comes by, while it comes
 * @readers: restores that use it
 * @restored: a restore has succeeded
 * @bytes: of the images; @used: of image_store.used
 * @order: rises from dump to dump, as they became complete
 */
struct stored_dump {
	char id[IMAGE_NAME_BYTES + 1];
	enum dump_state state;
	int link_fd;
	void *images;
	uint64_t nr_images, nr_whole, bytes, used, order;
	unsigned int readers;
	bool restored;
	struct stored_dump *next;
};

/**
 * struct image_store - all dumps
 * @max_bytes: of all images
 * @used: of them, with STORED_OVERHEAD
 * @lock: of all that follows
 * @linked: a proxy is connected, or is waited for since the start
 * @epoch: number of links that were lost so far
 */
struct image_store {
	uint64_t max_bytes;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t used, order, epoch;
	struct stored_dump *dumps;
	bool linked, stop;
};

void image_store_init(struct image_store *store, uint64_t max_bytes);
void image_store_free(struct image_store *store);

/** image_store_begin() - a new dump; NULL with @err. It waits as image_store_reserve() does */
struct stored_dump *image_store_begin(struct image_store *store, const char *id, int link_fd,
				      struct error *err);

/**
 * image_store_image() - a new image of a dump that comes
 *
 * It waits as image_store_reserve() does. NULL with @err when there is no memory, or the dump has an image of this name.
 */
struct stored_image *image_store_image(struct image_store *store, struct stored_dump *dump,
				       const char *name, struct error *err);

/**
 * image_store_reserve() - make room in the image for @bytes that are about to come
 *
 * When they do not fit, the function waits for the end of a restore that is under way. 0, or -1 with @err when there is
 * none, the link is lost, or the system gives no memory or descriptor. @image NULL: only count them as used.
 */
int image_store_reserve(struct image_store *store, struct stored_dump *dump,
			struct stored_image *image, uint32_t bytes, struct error *err);

/**
 * image_store_take() - receive @bytes, which were reserved
 * @pipe: an empty pipe
 * Return: 0; -1 with @err; CODE_NETWORK: the link is lost
 */
int image_store_take(struct stored_image *image, const struct conn *conn, const int pipe[2],
		     uint32_t bytes, struct error *err);

/** image_store_take_pipe() - take @bytes, which were reserved, and which the pipe @pipe_fd has */
int image_store_take_pipe(struct stored_image *image, int pipe_fd, uint32_t bytes,
			  struct error *err);

/** image_store_add() - take @bytes at @data, which were reserved */
int image_store_add(struct stored_image *image, const void *data, uint32_t bytes,
		    struct error *err);

/** image_store_whole() - no more bytes come */
void image_store_whole(struct image_store *store, struct stored_dump *dump,
		       struct stored_image *image);

/** image_store_seal() - 0, or -1 with @err when not all @images are whole */
int image_store_seal(struct image_store *store, struct stored_dump *dump, uint64_t images,
		     struct error *err);

/** image_store_commit() - serve the dump, in place of an earlier one with its id */
void image_store_commit(struct image_store *store, struct stored_dump *dump);

/** image_store_drop() - forget a dump that is not complete */
void image_store_drop(struct image_store *store, struct stored_dump *dump);

/** image_store_link() - a proxy is connected, or not any more: its sealed dumps are in doubt, its others gone */
void image_store_link(struct image_store *store, bool linked);

/**
 * image_store_find() - wait for a dump to be complete
 * @fd: the caller's connection; the wait ends when it does
 * Return: the dump, with a reader more; NULL when it will not come
 */
struct stored_dump *image_store_find(struct image_store *store, const char *id, int fd);

/** image_store_hold() - one reader more of a dump that has one */
void image_store_hold(struct image_store *store, struct stored_dump *dump);

/** image_store_get() - a whole image of a dump that image_store_find() found; NULL: it has none of this name */
const struct stored_image *image_store_get(struct image_store *store,
					   const struct stored_dump *dump, const char *name);

/** image_store_only() - number of dumps that no restore has had, and that may be all that there is of their programs */
size_t image_store_only(struct image_store *store);

/** image_store_put() - end of a reader. @restored: it has succeeded. Return: whether the dump was dropped */
bool image_store_put(struct image_store *store, struct stored_dump *dump, bool restored);

#endif
