// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include "criu/pagemap.h"
#include "pages/page_set.h"

void pagemap_name(char name[IMAGE_NAME_MAX], pid_t pid)
{
	snprintf(name, IMAGE_NAME_MAX, "pagemap-%d.img", pid);
}

static uint32_t entry_flags(const Img__PagemapEntry *raw)
{
	if (raw->has_in_parent && raw->in_parent)
		return raw->flags | PAGEMAP_PARENT;
	/* entries of old images have no flags, and are all present */
	return raw->has_flags ? raw->flags : PAGEMAP_PRESENT;
}

int pagemap_get(const Img__PagemapEntry *raw, uint64_t from, struct pagemap_entry *entry,
		struct error *err)
{
	uint32_t kind;

	entry->addr = raw->vaddr;
	entry->nr_pages = raw->nr_pages_wide ? raw->nr_pages_wide : raw->nr_pages;
	entry->flags = entry_flags(raw);
	kind = entry->flags & (PAGEMAP_PARENT | PAGEMAP_LAZY | PAGEMAP_PRESENT);
	if (!kind || kind != entry->flags ||
	    ((kind & PAGEMAP_PARENT) && (kind & PAGEMAP_PRESENT)))
		return error_set(err, CODE_CRIU, "the installed CRIU may be too new",
				 "pagemap has flags %#x at %#" PRIx64, entry->flags,
				 entry->addr);
	if (entry->addr % PAGE_BYTES || entry->addr < from || !entry->nr_pages ||
	    entry->addr >= USER_END ||
	    entry->nr_pages > (USER_END - entry->addr) / PAGE_BYTES)
		return error_set(err, CODE_CRIU, NULL,
				 "pagemap has a bad entry: %" PRIu64 " pages at %#" PRIx64,
				 entry->nr_pages, entry->addr);
	return 0;
}

static void put_one(struct image_out *out, uint64_t addr, uint64_t nr_pages, uint32_t flags)
{
	Img__PagemapEntry entry = IMG__PAGEMAP_ENTRY__INIT;

	entry.vaddr = addr;
	entry.has_nr_pages = true;
	entry.nr_pages = nr_pages;
	entry.has_nr_pages_wide = true;
	entry.nr_pages_wide = nr_pages;
	entry.has_flags = true;
	entry.flags = flags;
	if (flags & PAGEMAP_PARENT) {
		entry.has_in_parent = true;
		entry.in_parent = true;
	}
	image_out_add(out, &entry.base);
}

static int walk_entries(struct pagemap_walk *walk, struct image *image, struct error *err)
{
	struct pagemap_entry entry = { 0 };
	ProtobufCMessage *msg;
	int ret;

	while ((ret = image_next(image, &img__pagemap_entry__descriptor, &msg, err)) > 0) {
		const Img__PagemapEntry *raw = (Img__PagemapEntry *)msg;
		uint64_t from = entry.addr + entry.nr_pages * PAGE_BYTES;

		walk->wide |= raw->nr_pages_wide && !raw->nr_pages;
		ret = pagemap_get(raw, from, &entry, err);
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret || walk->take(walk->ctx, &entry, walk->present, err))
			return -1;
		if (entry.flags & PAGEMAP_PRESENT)
			walk->present += entry.nr_pages;
	}
	return ret;
}

static int walk_image(struct pagemap_walk *walk, struct image *image, struct error *err)
{
	ProtobufCMessage *head = NULL;
	int ret = image_next(image, &img__pagemap_head__descriptor, &head, err);

	if (!ret)
		ret = error_set(err, CODE_CRIU, NULL, "the image %s is empty", image->name);
	if (ret > 0) {
		walk->pages_id = ((Img__PagemapHead *)head)->pages_id;
		ret = walk_entries(walk, image, err);
	}
	if (head)
		protobuf_c_message_free_unpacked(head, NULL);
	image_close(image);
	return ret;
}

int pagemap_walk(int dir_fd, const char *name, struct pagemap_walk *walk, struct error *err)
{
	struct image image;

	return image_open(&image, dir_fd, name, IMAGE_PAGEMAP, err) ? -1 :
	       walk_image(walk, &image, err);
}

int pagemap_walk_fd(int fd, const char *name, struct pagemap_walk *walk, struct error *err)
{
	struct image image;

	return image_open_fd(&image, fd, name, IMAGE_PAGEMAP, err) ? -1 :
	       walk_image(walk, &image, err);
}

void pagemap_put(struct image_out *out, uint64_t addr, uint64_t nr_pages, uint32_t flags)
{
	while (nr_pages) {
		uint64_t nr = nr_pages < PAGEMAP_PAGES_MAX ? nr_pages : PAGEMAP_PAGES_MAX;

		put_one(out, addr, nr, flags);
		addr += nr * PAGE_BYTES;
		nr_pages -= nr;
	}
}

void pagemap_put_head(struct image_out *out, uint32_t id)
{
	Img__PagemapHead head = IMG__PAGEMAP_HEAD__INIT;

	head.pages_id = id;
	image_out_add(out, &head.base);
}
