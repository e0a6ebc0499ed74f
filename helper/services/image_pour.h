/* SPDX-License-Identifier: GPL-2.0 */
/* An image of the store on its way into a pipe or socket of CRIU. */
#ifndef MIGRATE_SERVICES_IMAGE_POUR_H
#define MIGRATE_SERVICES_IMAGE_POUR_H

#include <stdatomic.h>
#include "services/image_store.h"

/**
 * struct image_pour - one image for one reader
 * @fd: does not block
 * @at: bytes that were written
 * @stop: ends a wait
 */
struct image_pour {
	const struct stored_image *image;
	int fd;
	uint64_t at;
	const atomic_bool *stop;
};

/** image_pour_fill() - write up to @bytes. Return: 1 they are written, 0 @fd is full, -1 the reader has closed it */
int image_pour_fill(struct image_pour *pour, uint64_t bytes);

/** image_pour_wait() - wait for @events; 0: for the reader's end. Return: false when the reader has closed @fd, or @stop */
bool image_pour_wait(const struct image_pour *pour, short events);

/** image_pour_all() - write all, and wait as needed. Return: 1, or -1 when the reader has closed @fd, or @stop */
int image_pour_all(struct image_pour *pour);

#endif
