/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The message Announce says how many bytes will come. The destination reserves memory for them, or
 * gives up with the figures.
 */
#ifndef MIGRATE_SOURCE_ANNOUNCE_H
#define MIGRATE_SOURCE_ANNOUNCE_H

#include <stdint.h>
#include "wire/control.h"

/** announce_memory() - send the number of pages that the destination will hold in the end */
int announce_memory(struct control *ctl, uint64_t pages, struct error *err);
/**
 * announce_images() - the sizes of all files in the images directory, but for @omitted_bytes
 * @more_bytes: that the destination makes of them
 */
int announce_images(struct control *ctl, int images_fd, uint64_t omitted_bytes, uint64_t more_bytes,
		    struct error *err);

#endif
