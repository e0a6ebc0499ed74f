// SPDX-License-Identifier: GPL-2.0
#include "criu/image.h"
#include "criu/inventory.h"
#include "images.pb-c.h"

#define IMAGES_V1_1	2

int inventory_write(int dir_fd, uint64_t uptime_us, enum predump_mode mode, struct error *err)
{
	Img__InventoryEntry inventory = IMG__INVENTORY_ENTRY__INIT;
	struct image_out out;
	int ret;

	inventory.img_version = IMAGES_V1_1;
	inventory.has_dump_uptime = true;
	inventory.dump_uptime = uptime_us;
	inventory.has_pre_dump_mode = mode != PREDUMP_MODE_NONE;
	inventory.pre_dump_mode = mode;
	image_out_init(&out, IMAGE_INVENTORY);
	image_out_add(&out, &inventory.base);
	ret = image_out_store(&out, dir_fd, INVENTORY_NAME, err);
	image_out_free(&out);
	return ret;
}
