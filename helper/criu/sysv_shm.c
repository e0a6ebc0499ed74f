// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/page.h"
#include "criu/image.h"
#include "criu/pagemap.h"
#include "criu/sysv_shm.h"
#include "pages/sets.h"
#include "images.pb-c.h"

#define SEGMENTS_MAX	4096		/* as the kernel's SHMMNI */
#define SEGMENT_BYTES_MAX	(1UL << 46)

/** struct reading - @failed: no memory, or a segment that cannot be */
struct reading {
	struct criu_sysv *list;
	size_t nr;
	bool failed;
};

/* Changes nothing. */
static bool take_segment(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__IpcShmEntry *entry = (const Img__IpcShmEntry *)msg;
	struct reading *reading = ctx;
	struct criu_sysv *more;

	if (!entry)
		return false;
	more = reading->nr < SEGMENTS_MAX && entry->size <= SEGMENT_BYTES_MAX ?
	       realloc(reading->list, (reading->nr + 1) * sizeof(*more)) : NULL;
	reading->failed |= !more;
	if (!more)
		return false;
	reading->list = more;
	more[reading->nr++] = (struct criu_sysv){
		.shmid = entry->desc->id,
		.bytes = (entry->size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1),
	};
	return false;
}

int criu_sysv_read(int images_dir_fd, struct criu_sysv **list, size_t *nr, struct error *err)
{
	struct reading reading = { 0 };
	int ret = image_edit_each(images_dir_fd, "ipcns-shm-", IMAGE_IPCNS_SHM, &img__ipc_shm_entry__descriptor,
				  take_segment, &reading, err);

	if (!ret && reading.failed)
		ret = error_set(err, CODE_CRIU, NULL, "the images have more System V memory than can be");
	if (ret) {
		free(reading.list);
		reading = (struct reading){ 0 };
	}
	*list = reading.list;
	*nr = reading.nr;
	return ret;
}

/* CRIU and the sink count from 1, and the kernel's ids have 31 bits. */
static uint32_t pages_id(uint32_t shmid)
{
	return shmid | 1U << 31;
}

static int make_pages(int images_dir_fd, uint32_t shmid, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	int fd;

	snprintf(name, sizeof(name), "pages-%" PRIu32 ".img", pages_id(shmid));
	fd = openat(images_dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		error_errno(err, CODE_CRIU, NULL, "cannot make the image %s", name);
	return fd;
}

static int copy_all(struct image_out *map, int fd, const struct page_set *members, const struct criu_pages *pages,
		    struct error *err)
{
	void *buffer = malloc(CRIU_COPY_PAGES * PAGE_BYTES);
	uint64_t at = 0;
	struct run run;
	int ret = 0;

	if (!buffer)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for System V memory");
	/* what is read may leave @members */
	while (!ret && page_set_next(members, at, USER_END, 0, &run)) {
		pagemap_put(map, run.addr, run.nr_pages, PAGEMAP_PRESENT);
		ret = criu_pages_copy(pages, run.addr, run.nr_pages, fd, buffer, err);
		at = run_end(&run);
	}
	free(buffer);
	return ret;
}

int criu_sysv_write(int images_dir_fd, uint32_t shmid, const struct page_set *members,
		    const struct criu_pages *pages, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	struct image_out map;
	int fd, ret;

	snprintf(name, sizeof(name), "pagemap-shmem-%" PRIu32 ".img", shmid);
	if (!faccessat(images_dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW))
		return error_set(err, CODE_PEER, NULL, "System V memory %" PRIu32 " came in frames, and in the images", shmid);
	fd = make_pages(images_dir_fd, shmid, err);
	if (fd < 0)
		return -1;
	image_out_init(&map, IMAGE_PAGEMAP);
	pagemap_put_head(&map, pages_id(shmid));
	ret = copy_all(&map, fd, members, pages, err) || image_out_store(&map, images_dir_fd, name, err) ? -1 : 0;
	image_out_free(&map);
	close(fd);
	return ret;
}
