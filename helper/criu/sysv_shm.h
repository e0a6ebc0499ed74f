/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System V shared memory that came in frames: the images that CRIU would have written of it.
 *
 * CRIU makes a segment with shmget(), and copies its pages out of pagemap-shmem-ID and a pages image into it. The kernel
 * has no call that makes a memfd a segment, so this copy cannot be saved. The source's sink has thrown CRIU's
 * own images of the segment away (criu/page_sink.h); these take their place.
 */
#ifndef MIGRATE_CRIU_SYSV_SHM_H
#define MIGRATE_CRIU_SYSV_SHM_H

#include <stdint.h>
#include "base/error.h"
#include "criu/criu.h"
#include "pages/page_set.h"

/** struct criu_sysv - a segment of the images; @shmid: its id, by which images name it; @bytes: whole pages */
struct criu_sysv {
	uint32_t shmid;
	uint64_t bytes;
};

/** criu_sysv_read() - all segments of the images, of each IPC namespace; free() @list */
int criu_sysv_read(int images_dir_fd, struct criu_sysv **list, size_t *nr, struct error *err);

/**
 * criu_sysv_write() - make the images of segment @shmid
 * @members: offsets of the pages that it has; others are holes
 * @pages: their content
 * Return: 0; -1 with @err, with CODE_PEER when the images have pages of the segment already
 */
int criu_sysv_write(int images_dir_fd, uint32_t shmid, const struct page_set *members,
		    const struct criu_pages *pages, struct error *err);

#endif
