// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "criu/criu.h"
#include "criu/pagemap.h"
#include "os/fs_room.h"

#define LAZY_MAX_COST	(66UL << 20)	/* of the set @lazy: enough for 2 TiB in one piece */

/**
 * struct rewrite - the rewriting of one pagemap
 * @map: the new pagemap
 * @parent_map: pagemap of the parent directory
 * @parent_fd: the parent directory; -1 until the first page stays in the parent
 * @pages_fd: pages image of the parent
 * @lazy_cost: bytes of memory that @lazy takes
 */
struct rewrite {
	int images_fd;
	const struct criu_task *task;
	const struct criu_pages *pages;
	struct page_set *lazy;
	struct image_out map;
	struct image_out parent_map;
	int parent_fd;
	int pages_fd;
	void *buffer;
	uint64_t lazy_cost;
};

int criu_pages_copy(const struct criu_pages *pages, uint64_t addr, uint64_t nr_pages, int fd, void *buffer,
		    struct error *err)
{
	while (nr_pages) {
		uint64_t nr = nr_pages < CRIU_COPY_PAGES ? nr_pages : CRIU_COPY_PAGES, free;

		if (!fs_has_room(fd, nr * PAGE_BYTES, &free))
			return error_set(err, CODE_NOT_READY, "make room there, or choose another --images-dir",
					 "there are %" PRIu64 " MiB left for images, which others may need",
					 free >> 20);
		if (pages->read(pages->ctx, addr, nr, buffer, err))
			return -1;
		if (io_write_all(fd, buffer, nr * PAGE_BYTES))
			return error_errno(err, CODE_CRIU, NULL, "cannot write pages into an image");
		addr += nr * PAGE_BYTES;
		nr_pages -= nr;
	}
	return 0;
}

/* Make a directory in place of CRIU's symbolic link: one for all tasks. */
static int parent_make(struct rewrite *rw, struct error *err)
{
	if (unlinkat(rw->images_fd, "parent", 0) && errno != ENOENT && errno != EISDIR)
		return error_errno(err, CODE_CRIU, NULL, "cannot remove the link to the parent");
	if (mkdirat(rw->images_fd, "parent", 0700) && errno != EEXIST)
		return error_errno(err, CODE_CRIU, NULL, "cannot make the parent directory");
	rw->parent_fd = openat(rw->images_fd, "parent", O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return rw->parent_fd < 0 ?
	       error_errno(err, CODE_CRIU, NULL, "cannot open the parent directory") : 0;
}

static int parent_open(struct rewrite *rw, struct error *err)
{
	char name[IMAGE_NAME_MAX];

	if (rw->parent_fd >= 0)
		return 0;
	if (parent_make(rw, err))
		return -1;
	snprintf(name, sizeof(name), "pages-%d.img", rw->task->pid);
	rw->pages_fd = openat(rw->parent_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (rw->pages_fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot create the parent's pages");
	rw->buffer = malloc(CRIU_COPY_PAGES * PAGE_BYTES);
	if (!rw->buffer)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for the parent's pages");
	return 0;
}

static int parent_add(struct rewrite *rw, uint64_t addr, uint64_t nr_pages, struct error *err)
{
	if (parent_open(rw, err))
		return -1;
	pagemap_put(&rw->parent_map, addr, nr_pages, PAGEMAP_PRESENT);
	return criu_pages_copy(rw->pages, addr, nr_pages, rw->pages_fd, rw->buffer, err);
}

/* Cut off the front of @left the longest piece that is all lazy-able or all not. */
static int piece_cut(const struct criu_task *task, struct run *left, struct run *piece,
		     bool *lazyable, struct error *err)
{
	const struct vma *vma = maps_find(&task->vmas, left->addr);
	uint64_t end = left->addr + left->nr_pages * PAGE_BYTES;

	if (!vma) {
		error_set(err, CODE_CRIU, NULL,
			  "the images have a page at %#" PRIx64 " but no mapping there",
			  left->addr);
		return -1;
	}
	if (end > vma->end)
		end = vma->end;
	*lazyable = task->lazyable[vma - task->vmas.vmas];
	piece->addr = left->addr;
	piece->nr_pages = (end - left->addr) / PAGE_BYTES;
	left->addr = end;
	left->nr_pages -= piece->nr_pages;
	return 0;
}

static int piece_add(struct rewrite *rw, const struct run *piece, bool lazyable, uint32_t flags,
		     struct error *err)
{
	if (lazyable) {
		/* hostile images may list all of user space */
		rw->lazy_cost += page_set_cost(rw->lazy, piece->addr, piece->nr_pages);
		if (rw->lazy_cost > LAZY_MAX_COST)
			return error_set(err, CODE_CRIU, NULL,
					 "the images have more memory than a program can have, at %#" PRIx64,
					 piece->addr);
		pagemap_put(&rw->map, piece->addr, piece->nr_pages, PAGEMAP_LAZY);
		return page_set_add(rw->lazy, piece->addr, piece->nr_pages, err);
	}
	/* without userfaultfd the page would silently be zeros, or have the file's content */
	if (!(flags & PAGEMAP_PARENT))
		return error_set(err, CODE_CRIU, NULL,
				 "the images have a lazy page at %#" PRIx64
				 " in a mapping that cannot have one", piece->addr);
	pagemap_put(&rw->map, piece->addr, piece->nr_pages, PAGEMAP_PARENT);
	return parent_add(rw, piece->addr, piece->nr_pages, err);
}

static int entry_split(struct rewrite *rw, const struct pagemap_entry *entry, struct error *err)
{
	struct run left = { entry->addr, entry->nr_pages }, piece;
	bool lazyable;

	while (left.nr_pages)
		if (piece_cut(rw->task, &left, &piece, &lazyable, err) ||
		    piece_add(rw, &piece, lazyable, entry->flags, err))
			return -1;
	return 0;
}

static int entry_rewrite(struct rewrite *rw, Img__PagemapEntry *raw, uint64_t *from,
			 struct error *err)
{
	struct pagemap_entry entry;

	if (pagemap_get(raw, *from, &entry, err))
		return -1;
	*from = entry.addr + entry.nr_pages * PAGE_BYTES;
	if (!(entry.flags & PAGEMAP_PRESENT)) {
		/* an entry with unknown fields cannot be split */
		if (raw->base.n_unknown_fields)
			return error_set(err, CODE_CRIU, "the installed CRIU may be too new",
					 "pagemap has an unknown field at %#" PRIx64,
					 entry.addr);
		return entry_split(rw, &entry, err);
	}
	/* the restore itself reads pages whose data is in the images */
	raw->flags = entry.flags & ~PAGEMAP_LAZY;
	raw->has_flags = true;
	image_out_add(&rw->map, &raw->base);
	return 0;
}

static int pagemap_rewrite(struct rewrite *rw, struct image *image, struct error *err)
{
	ProtobufCMessage *msg;
	uint64_t from = 0;
	int ret;

	ret = image_next(image, &img__pagemap_head__descriptor, &msg, err);
	if (ret <= 0)
		return ret ? -1 : error_set(err, CODE_CRIU, NULL, "pagemap has no head");
	image_out_add(&rw->map, msg);
	protobuf_c_message_free_unpacked(msg, NULL);
	while ((ret = image_next(image, &img__pagemap_entry__descriptor, &msg, err)) > 0) {
		ret = entry_rewrite(rw, (Img__PagemapEntry *)msg, &from, err);
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret)
			return -1;
	}
	return ret;
}

static int rewrite_store(struct rewrite *rw, const char *name, struct error *err)
{
	if (rw->parent_fd >= 0 &&
	    image_out_store(&rw->parent_map, rw->parent_fd, name, err))
		return -1;
	return image_out_store(&rw->map, rw->images_fd, name, err);
}

static void rewrite_free(struct rewrite *rw)
{
	image_out_free(&rw->map);
	image_out_free(&rw->parent_map);
	if (rw->parent_fd >= 0)
		close(rw->parent_fd);
	if (rw->pages_fd >= 0)
		close(rw->pages_fd);
	free(rw->buffer);
}

int criu_rewrite(int images_dir_fd, const struct criu_task *task,
		 const struct criu_pages *pages, struct page_set *lazy, struct error *err)
{
	struct rewrite rw = {
		.images_fd = images_dir_fd, .task = task, .pages = pages, .lazy = lazy,
		.parent_fd = -1, .pages_fd = -1,
	};
	char name[IMAGE_NAME_MAX];
	struct image image;
	int ret;

	pagemap_name(name, task->pid);
	if (image_open(&image, images_dir_fd, name, IMAGE_PAGEMAP, err))
		return -1;
	image_out_init(&rw.map, IMAGE_PAGEMAP);
	image_out_init(&rw.parent_map, IMAGE_PAGEMAP);
	/* the pages have the number of the task: each task has its own file of them */
	pagemap_put_head(&rw.parent_map, task->pid);
	ret = pagemap_rewrite(&rw, &image, err);
	if (!ret)
		ret = rewrite_store(&rw, name, err);
	rewrite_free(&rw);
	image_close(&image);
	return ret;
}
