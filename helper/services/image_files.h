/* SPDX-License-Identifier: GPL-2.0 */
/* Images that are files here, on their way to image-cache. */
#ifndef MIGRATE_SERVICES_IMAGE_FILES_H
#define MIGRATE_SERVICES_IMAGE_FILES_H

#include "services/image_uplink.h"

/** struct image_files - of the dump @number; @images, @bytes: out: sent */
struct image_files {
	struct image_uplink *up;
	int number;
	uint64_t images, bytes;
};

/** image_file_forward() - send the file @fd as the image @name. @bytes: out: its size */
int image_file_forward(struct image_uplink *up, int number, const char *name, int fd,
		       uint64_t *bytes, struct error *err);

/**
 * image_files_forward() - send the images in the directory of the file @path, but for pages and pagemaps
 *
 * One is inventory.img, or the function fails.
 */
int image_files_forward(struct image_files *files, const char *path, struct error *err);

/**
 * image_files_check_old() - no pagemap in the directory of the file @path was written since @since_ns of CLOCK_REALTIME
 *
 * A dump that sends its memory to a page server writes none.
 */
int image_files_check_old(const char *path, int64_t since_ns, struct error *err);

#endif
