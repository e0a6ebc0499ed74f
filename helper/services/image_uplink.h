/* SPDX-License-Identifier: GPL-2.0 */
/* image-proxy's end of the connection to image-cache. Any thread may call; the data of all dumps go in turns. */
#ifndef MIGRATE_SERVICES_IMAGE_UPLINK_H
#define MIGRATE_SERVICES_IMAGE_UPLINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "services/image_frame.h"

/** enum uplink_state - of a dump's number */
enum uplink_state { UPLINK_FREE, UPLINK_OPEN, UPLINK_SEALED, UPLINK_REFUSED };

/**
 * struct uplink_dump - a dump's number
 * @wake_fd: eventfd of the dump, which becomes readable when the cache refuses it, or the link is lost
 * @reason: of the refusal
 */
struct uplink_dump {
	enum uplink_state state;
	int wake_fd;
	char reason[IMAGE_NAME_BYTES + 1];
};

/**
 * struct image_uplink - the connection
 * @sending: held while a frame is written
 * @waiting: threads that need the cache to read, or to answer; @moved_ms: since when it did neither for any of them
 * @lock: of all that follows
 * @next: number of the next dump, if it is free
 * @images: which numbers of images are taken
 * @lost: @err says why
 * @on_lost: called once by the reader's thread; may be NULL
 */
struct image_uplink {
	struct conn conn;
	pthread_mutex_t sending, lock;
	atomic_uint waiting;
	atomic_llong moved_ms;
	pthread_cond_t changed;
	struct uplink_dump dumps[IMAGE_DUMPS_MAX];
	unsigned int next;
	bool images[IMAGES_OPEN_MAX];
	bool lost;
	struct error err;
	pthread_t reader;
	void (*on_lost)(void *ctx);
	void *ctx;
};

/** image_uplink_greet() - greet the cache on @fd, which the uplink owns from now on, and read nothing more */
int image_uplink_greet(struct image_uplink *up, int fd, struct error *err);

/** image_uplink_run() - take the cache's answers up to the end of the connection */
void image_uplink_run(struct image_uplink *up);

/** image_uplink_open() - image_uplink_greet(), and image_uplink_run() in a thread */
int image_uplink_open(struct image_uplink *up, int fd, struct error *err);

/** image_uplink_cut() - end all traffic */
void image_uplink_cut(struct image_uplink *up);

/** image_uplink_limit() - give the link up when the cache took nothing for @limit_s seconds; 0: never. Call it each second */
void image_uplink_limit(struct image_uplink *up, unsigned long limit_s);

/** image_uplink_close() - cut, and wait for the reader */
void image_uplink_close(struct image_uplink *up);

/** image_uplink_begin() - announce a dump. Return: its number, or -1 */
int image_uplink_begin(struct image_uplink *up, const char *id, int wake_fd, struct error *err);

/** image_uplink_watch() - another @wake_fd for the dump; an event that has come already is not repeated */
void image_uplink_watch(struct image_uplink *up, int dump, int wake_fd);

/** image_uplink_check() - 0; -1 with @err when the dump was refused, or the link is lost */
int image_uplink_check(struct image_uplink *up, int dump, struct error *err);

/** image_uplink_image() - announce an image. Return: its number, or -1 */
int image_uplink_image(struct image_uplink *up, int dump, const char *name, struct error *err);

/** image_uplink_data() - send @bytes that are in the pipe @pipe_fd */
int image_uplink_data(struct image_uplink *up, int image, int pipe_fd, uint32_t bytes,
		      struct error *err);

/** image_uplink_image_end() - the image is whole, with @size bytes */
int image_uplink_image_end(struct image_uplink *up, int image, uint64_t size, struct error *err);

/** image_uplink_forget() - take an image's number back; after image_uplink_finish() */
void image_uplink_forget(struct image_uplink *up, int image);

/** image_uplink_seal() - wait until the cache has all @images of the dump */
int image_uplink_seal(struct image_uplink *up, int dump, uint64_t images, struct error *err);

/** image_uplink_finish() - COMMIT, or ABORT; the dump's number is free then */
int image_uplink_finish(struct image_uplink *up, int dump, bool commit, struct error *err);

#endif
