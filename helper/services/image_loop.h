/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What image-proxy and image-cache have in common: the doors, a thread for each connection of CRIU, signals.
 */
#ifndef MIGRATE_SERVICES_IMAGE_LOOP_H
#define MIGRATE_SERVICES_IMAGE_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "services/image_door.h"

#define IMAGE_CLIENTS_MAX	128	/* connections of CRIU at a time */

struct image_loop;

/**
 * struct image_client - a connection of CRIU
 * @pid: of the caller
 * @order: number of connections of the original protocol that came before
 * @ended: the thread has ended
 */
struct image_client {
	struct image_loop *loop;
	const struct image_door *door;
	int fd;
	pid_t pid;
	uint64_t order;
	pthread_t thread;
	atomic_bool ended;
};

/**
 * struct image_loop - the loop of a server
 * @serve: what the thread of a client does
 * @ctx: for @serve
 * @extra_fd, @extra: called in the loop's thread when @extra_fd is readable; -1: none
 * @tick: called each second, and after each event
 * @may_end: whether a signal ends the loop; NULL: each does
 * @nr_remote: connections of the original protocol so far
 * @stop: end the loop; any thread may set it, and call image_loop_wake()
 * @signalled: a signal ended the loop
 */
struct image_loop {
	void (*serve)(struct image_client *client);
	void (*extra)(void *ctx);
	void (*tick)(void *ctx);
	bool (*may_end)(void *ctx);
	void *ctx;
	int signals, wake_fd, extra_fd;
	struct image_door doors[IMAGE_DOORS_MAX];
	size_t nr_doors;
	uint64_t nr_remote;
	struct image_client *clients[IMAGE_CLIENTS_MAX];
	atomic_bool stop;
	bool signalled;
};

/** image_loop_init() - with no door yet. Blocks SIGINT and SIGTERM, and opens what the loop waits with */
int image_loop_init(struct image_loop *loop, struct error *err);

/** image_loop_add_door() - a directory: image_door_open() */
int image_loop_add_door(struct image_loop *loop, const char *spec, const char *name,
			struct error *err);

/** image_loop_add_remote() - a socket for the original protocol: image_door_open_remote(); before any other door */
int image_loop_add_remote(struct image_loop *loop, const char *spec, struct error *err);

/** image_loop_run() - until a signal, or @stop */
void image_loop_run(struct image_loop *loop);

/** image_loop_wake() - let the loop look at @stop, and call @tick */
void image_loop_wake(struct image_loop *loop);

/** image_loop_end() - end all traffic of the clients, wait for their threads, and close the doors */
void image_loop_end(struct image_loop *loop);

#endif
