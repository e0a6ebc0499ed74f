/* SPDX-License-Identifier: GPL-2.0 */
/* The inventory of a directory of images: its version, and when its memory was taken. */
#ifndef MIGRATE_CRIU_INVENTORY_H
#define MIGRATE_CRIU_INVENTORY_H

#include <stdint.h>
#include "base/error.h"

#define INVENTORY_NAME	"inventory.img"

/**
 * enum predump_mode - how a pre-dump treated memory that its process must not read
 * @PREDUMP_MODE_NONE: no pre-dump
 * @PREDUMP_MODE_SPLICE: it has that memory, as with CRIU's own parasite
 * @PREDUMP_MODE_READ: it may lack some; a later pre-dump writes all of it
 */
enum predump_mode { PREDUMP_MODE_NONE, PREDUMP_MODE_SPLICE, PREDUMP_MODE_READ };

/**
 * inventory_write() - write the image
 * @uptime_us: microseconds since boot. A process that started then, or later, is no process of these images, whatever
 *	its pid. Without such a time CRIU quietly dumps all memory
 */
int inventory_write(int dir_fd, uint64_t uptime_us, enum predump_mode mode, struct error *err);

#endif
