/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An incremental dump at image-proxy: memory comes by CRIU's page-server protocol, from each `criu pre-dump --page-server`
 * and from the `criu dump --page-server` after them, a connection each. Each is a level of a chain
 * (services/image_chain.h), and for the cache all of it is one dump: pages that a level leaves to the one before are not
 * sent again.
 *
 * CRIU does not stream with a parent: it refuses to read the parent's inventory then, without which it takes no parent.
 * So CRIU writes its other images, which are small, into its --images-dir, and the proxy takes them from there when the
 * action script asks. Up to the answer the program stands. A dump that streams all the same has them from the stream.
 *
 * A connection that ends early, and a dump that fails, end the chain: the next dump is told that there is no parent, and
 * sends all pages.
 */
#ifndef MIGRATE_SERVICES_IMAGE_MEMORY_H
#define MIGRATE_SERVICES_IMAGE_MEMORY_H

#include "services/image_fate.h"
#include "services/image_loop.h"
#include "services/image_tally.h"
#include "services/image_uplink.h"
#include "services/page_receiver.h"

/**
 * struct image_memory - one chain at a time
 * @id: by which the cache knows it
 * @max_mib: of the pages of one level
 * @leave_running: see image_fate_watch()
 * @listener: of the page server
 * @loop: its end ends the thread, which takes a connection at a time
 * @lock: of all that follows
 * @number: at the uplink; -1: no chain
 * @fs_fd: memory file system with a directory for each level: "0", "1" and so on
 * @level: of the next connection
 * @level_ms: when the last one began, CLOCK_BOOTTIME
 * @busy: a connection is under way, with its @receiver; @sealed: the cache has all
 * @joined: a dump by --stream owns the chain
 * @images, @bytes: that the cache has
 * @err: why the chain has ended
 */
struct image_memory {
	struct image_uplink *up;
	struct image_tally *tally;
	const char *id;
	unsigned long max_mib;
	bool leave_running;
	struct listener listener;
	struct image_loop *loop;
	pthread_t thread;
	bool started;
	int wake_fd;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int number, fs_fd;
	unsigned int level;
	int64_t level_ms;
	bool busy, sealed, joined;
	struct page_receiver *receiver;
	uint64_t images, bytes;
	struct image_fate fate;
	struct error err;
};

/** image_memory_init() - no page server yet */
void image_memory_init(struct image_memory *memory, struct image_uplink *up,
		       struct image_tally *tally, struct image_loop *loop);

/** image_memory_open() - listen at @address, as for conn_listen(), and begin the thread */
int image_memory_open(struct image_memory *memory, const char *address, const char *id,
		      unsigned long max_mib, struct error *err);

/**
 * image_memory_ask() - the action script of a dump asks: did all images arrive?
 * @root_fd: pidfd of the program's root, or -1; set to -1 when the dump takes it
 *
 * No also for a dump whose memory did not come by the page server: the chain has older memory, or another program's.
 * After a no the chain ends, unless it is another dump's: CRIU has cleared the bits by which a next dump would know what was
 * written to. The reason is told. After a yes the caller calls image_memory_settle().
 */
bool image_memory_ask(struct image_memory *memory, const struct image_door *door, int *root_fd);

/**
 * image_memory_join() - a dump by --stream begins, whose memory may come by the page server
 *
 * Without a parent, or by an RPC that has CRIU keep pidfds, CRIU does stream. Then the stream owns the dump up to
 * image_memory_part(), and the chain with it.
 * Return: its number at the uplink, which wakes @wake_fd; -1 with @err
 */
int image_memory_join(struct image_memory *memory, int wake_fd, struct error *err);

/** image_memory_count() - add the images of the chain to @images; no more come. -1 with @err when some failed to */
int image_memory_count(struct image_memory *memory, uint64_t *images, struct error *err);

/** image_memory_part() - the stream's dump has ended at the uplink */
void image_memory_part(struct image_memory *memory);

/** image_memory_settle() - wait whether the program is gone, and tell the cache */
void image_memory_settle(struct image_memory *memory);

/** image_memory_look() - end a connection that says nothing, and each one when the loop ends. It does not wait */
void image_memory_look(struct image_memory *memory);

/** image_memory_close() - end the thread, and give up the chain */
void image_memory_close(struct image_memory *memory);

#endif
