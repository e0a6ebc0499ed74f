/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page server of a dump: a thread that takes what CRIU would write into pagemap and pages images.
 *
 * CRIU dumps all pages of shared memory in each dump, and while the program stands. The sink throws
 * the pages of those objects away whose pages come to the destination in frames: they are spliced from
 * CRIU's socket to /dev/null, so that no byte of them is copied. All other pages become the same images
 * that CRIU itself would have written.
 *
 * CRIU asks whether the parent has an object. The sink says so of each whose pages it throws away. With
 * soft-dirty tracking CRIU then leaves the pages out that no mapper has written since the last write to
 * clear_refs. Nothing depends on it: the destination has these pages, or gets them in frames.
 *
 * CRIU connects by a socket pair (option ps-socket), and ends with FORCE_CLOSE before it says
 * status-ready. It closes the socket then, and the held CRIU has no page server.
 */
#ifndef MIGRATE_CRIU_PAGE_SINK_H
#define MIGRATE_CRIU_PAGE_SINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "criu/criu.h"
#include "criu/image.h"
#include "criu/page_payload.h"

/**
 * struct page_sink - one dump's pages
 * @stream: the helper's end of the socket pair
 * @images_fd: directory of the images
 * @shm: objects whose pages are thrown away
 * @header: bytes of a command: 24, and 32 from CRIU 4.2 on; 0: not known yet
 * @images: how many pages images were made
 * @map, @pages_fd, @name: the pagemap in the making; @pages_fd -1: none, or its pages are thrown away
 * @target: what the commands are about since the last OPEN2; 0: nothing
 * @thrown: pages that were thrown away
 * @told: criu_dump_shm.stands was called
 * @err: the thread's failure
 * @closed: CRIU has said that all pages were sent
 */
struct page_sink {
	struct page_stream stream;
	int images_fd;
	struct criu_dump_shm *shm;
	size_t header;
	uint32_t images;
	struct image_out map;
	char name[IMAGE_NAME_MAX];
	int pages_fd;
	uint64_t target;
	bool throws, runs, told;
	atomic_bool closed;
	int null_fd;
	struct page_payload payload;
	uint64_t thrown;
	struct error err;
	pthread_t thread;
};

/** page_sink_start() - start the thread. @fd stays the caller's */
int page_sink_start(struct page_sink *sink, int fd, int images_fd, struct criu_dump_shm *shm,
		    struct error *err);

/**
 * page_sink_end() - end the thread; may be called twice
 *
 * CRIU must be dead, or held. Return: -1 with @err when the images are not complete
 */
int page_sink_end(struct page_sink *sink, struct error *err);

#endif
