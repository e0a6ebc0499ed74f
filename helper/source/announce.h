/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What will come, said before it comes: the destination reserves memory for it, or says that it
 * has not enough.
 */
#ifndef MIGRATE_SOURCE_ANNOUNCE_H
#define MIGRATE_SOURCE_ANNOUNCE_H

#include <stdint.h>
#include "wire/control.h"

/** announce_memory() - the destination will have so many pages of the program in all */
int announce_memory(struct control *ctl, uint64_t pages, struct error *err);
/** announce_images() - the sizes of all files in the images directory */
int announce_images(struct control *ctl, int images_fd, struct error *err);

#endif
