// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "criu/omit.h"
#include "criu/pagemap.h"
#include "pages/sets.h"

/**
 * struct omitting - one pagemap on its way
 * @offset: where the data of the next page lies in the pages image
 * @cap: pieces for which there is room
 */
struct omitting {
	const struct page_set *elsewhere;
	struct page_set *carried;
	struct omit *omit;
	struct image_out map;
	uint64_t offset;
	size_t cap;
};

static int piece_add(struct omitting *om, uint64_t bytes, struct error *err)
{
	struct omit *omit = om->omit;
	struct omit_piece *last = omit->nr ? &omit->pieces[omit->nr - 1] : NULL;

	omit->bytes += bytes;
	if (last && last->offset + last->bytes == om->offset) {
		last->bytes += bytes;
		return 0;
	}
	if (omit->nr == om->cap) {
		size_t cap = om->cap ? 2 * om->cap : 64;

		last = realloc(omit->pieces, cap * sizeof(*last));
		if (!last)
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of pages");
		omit->pieces = last;
		om->cap = cap;
	}
	omit->pieces[omit->nr++] = (struct omit_piece){ om->offset, bytes };
	return 0;
}

static int run_keep(struct omitting *om, uint64_t addr, uint64_t nr_pages, uint32_t flags,
		    struct error *err)
{
	if (!nr_pages)
		return 0;
	pagemap_put(&om->map, addr, nr_pages, flags);
	if (page_set_add(om->carried, addr, nr_pages, err) ||
	    piece_add(om, nr_pages * PAGE_BYTES, err))
		return -1;
	om->offset += nr_pages * PAGE_BYTES;
	return 0;
}

static void run_omit(struct omitting *om, const struct run *run)
{
	pagemap_put(&om->map, run->addr, run->nr_pages, PAGEMAP_PARENT);
	om->omit->pages += run->nr_pages;
	om->offset += run->nr_pages * PAGE_BYTES;
}

static int entry_divide(struct omitting *om, const struct pagemap_entry *entry, struct error *err)
{
	uint64_t addr = entry->addr, end = addr + entry->nr_pages * PAGE_BYTES;
	struct run run;

	while (page_set_next(om->elsewhere, addr, end, 0, &run)) {
		if (run_keep(om, addr, (run.addr - addr) / PAGE_BYTES, entry->flags, err))
			return -1;
		run_omit(om, &run);
		addr = run_end(&run);
	}
	return run_keep(om, addr, (end - addr) / PAGE_BYTES, entry->flags, err);
}

static int entry_take(struct omitting *om, const Img__PagemapEntry *raw, uint64_t *from,
		      struct error *err)
{
	struct pagemap_entry entry;

	if (pagemap_get(raw, *from, &entry, err))
		return -1;
	*from = entry.addr + entry.nr_pages * PAGE_BYTES;
	if (!(entry.flags & PAGEMAP_PRESENT)) {
		image_out_add(&om->map, &raw->base);
		return 0;
	}
	/* an unknown field may change where the data lies */
	if (raw->base.n_unknown_fields)
		return error_set(err, CODE_CRIU, "the installed CRIU may be too new",
				 "pagemap has an unknown field at %#" PRIx64, entry.addr);
	return entry_divide(om, &entry, err);
}

static int head_take(struct omitting *om, struct image *image, struct error *err)
{
	ProtobufCMessage *msg;
	int ret = image_next(image, &img__pagemap_head__descriptor, &msg, err);

	if (ret <= 0)
		return ret ? -1 : error_set(err, CODE_CRIU, NULL, "pagemap has no head");
	image_out_add(&om->map, msg);
	snprintf(om->omit->name, sizeof(om->omit->name), "pages-%u.img",
		 ((Img__PagemapHead *)msg)->pages_id);
	protobuf_c_message_free_unpacked(msg, NULL);
	return 0;
}

static int entries_take(struct omitting *om, struct image *image, struct error *err)
{
	ProtobufCMessage *msg;
	uint64_t from = 0;
	int ret = head_take(om, image, err);

	if (ret)
		return -1;
	while ((ret = image_next(image, &img__pagemap_entry__descriptor, &msg, err)) > 0) {
		ret = entry_take(om, (Img__PagemapEntry *)msg, &from, err);
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret)
			return -1;
	}
	return ret;
}

/* With a wrong offset other pages would be left out than those that the pagemap names. */
static int sum_check(const struct omitting *om, int dir_fd, struct error *err)
{
	struct stat st = { 0 };

	/* CRIU makes no pages image without pages */
	if (fstatat(dir_fd, om->omit->name, &st, AT_SYMLINK_NOFOLLOW) && om->offset)
		return error_errno(err, CODE_CRIU, NULL, "cannot read image %s", om->omit->name);
	if ((uint64_t)st.st_size == om->offset)
		return 0;
	return error_set(err, CODE_CRIU, "the installed CRIU may be too new",
			 "image %s has %" PRIu64 " bytes, its pagemap says %" PRIu64, om->omit->name,
			 (uint64_t)st.st_size, om->offset);
}

int omit_pages(int images_dir_fd, pid_t pid, const struct page_set *elsewhere,
	       struct page_set *carried, struct omit *omit, struct error *err)
{
	struct omitting om = { .elsewhere = elsewhere, .carried = carried, .omit = omit };
	char name[IMAGE_NAME_MAX];
	struct image image;
	int ret;

	memset(omit, 0, sizeof(*omit));
	pagemap_name(name, pid);
	if (image_open(&image, images_dir_fd, name, IMAGE_PAGEMAP, err))
		return -1;
	image_out_init(&om.map, IMAGE_PAGEMAP);
	ret = entries_take(&om, &image, err);
	image_close(&image);
	if (!ret)
		ret = sum_check(&om, images_dir_fd, err);
	if (!ret && omit->pages)
		ret = image_out_store(&om.map, images_dir_fd, name, err);
	image_out_free(&om.map);
	return ret;
}

void omit_free(struct omit *omit)
{
	free(omit->pieces);
	memset(omit, 0, sizeof(*omit));
}
