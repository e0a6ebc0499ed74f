// SPDX-License-Identifier: GPL-2.0
/*
 * Pagemaps of an incremental chain at image-cache. Input: images, each a byte with its level (two bits), and whether it
 * is the pages image, whose length follows as le16; else a chunk with the pagemap's content follows.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/page.h"
#include "fuzz/common.h"
#include "services/image_chain.h"

#define PAGES_FLAG	4U

/* Each page begins with its level and number, so that one from the wrong place shows. */
static void put_pages(struct stored_image *image, struct image_store *store, struct stored_dump *dump,
		      unsigned int level, uint32_t nr)
{
	static uint8_t page[PAGE_BYTES];
	struct error err = { 0 };

	for (uint32_t i = 0; i < nr; i++) {
		page[0] = level;
		memcpy(page + 1, &i, sizeof(i));
		if (!image_store_reserve(store, dump, image, PAGE_BYTES, &err))
			image_store_add(image, page, PAGE_BYTES, &err);
	}
}

static void put_image(struct image_store *store, struct stored_dump *dump, struct fuzz_input *in)
{
	uint8_t byte = fuzz_byte(in);
	struct error err = { 0 };
	struct stored_image *image;
	struct fuzz_input map;
	char name[32];

	snprintf(name, sizeof(name), IMAGE_CHAIN_PREFIX "%u/%s", byte & 3,
		 byte & PAGES_FLAG ? "pages-1.img" : "pagemap-7.img");
	image = image_store_image(store, dump, name, &err);
	if (byte & PAGES_FLAG) {
		uint32_t nr = fuzz_byte(in);

		if (image)
			put_pages(image, store, dump, byte & 3, nr);
	} else {
		map = fuzz_chunk(in);
		if (image && map.size && !image_store_reserve(store, dump, image, map.size, &err))
			image_store_add(image, map.data, map.size, &err);
	}
	if (image)
		image_store_whole(store, dump, image);
}

/* All bytes of the flat image can be read, and each page is one of some level. */
static void check_pages(const struct stored_image *image)
{
	uint8_t head;

	for (size_t i = 0; i < image->nr_parts; i++) {
		const struct image_part *part = &image->parts[i];

		fuzz_assert(part->bytes && part->at + part->bytes <= part->from->bytes);
		fuzz_assert(part->start == (i ? part[-1].start + part[-1].bytes : 0));
	}
	for (uint64_t at = 0; at < image->bytes; at += PAGE_BYTES) {
		const struct image_part *part = image->parts;

		while (part->start + part->bytes <= at)
			part++;
		if (part->from->fd < 0)
			head = part->from->data[part->at + at - part->start];
		else
			fuzz_assert(pread(part->from->fd, &head, 1, part->at + at - part->start) == 1);
		fuzz_assert(head < 4);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct stored_image *map, *pages;
	struct fuzz_input in = { data, size };
	struct image_store store;
	struct stored_dump *dump;
	struct error err = { 0 };
	int fds = fuzz_fds(), ret;

	image_store_init(&store, 4 << 20);
	dump = image_store_begin(&store, "a", -1, &err);
	while (in.size)
		put_image(&store, dump, &in);
	memset(&err, 0, sizeof(err));
	ret = image_chain_flatten(&store, dump, &err);
	fuzz_error_fits(ret, &err);
	map = image_store_get(&store, dump, "pagemap-7.img");
	pages = image_store_get(&store, dump, "pages-1.img");
	fuzz_assert(ret || !map == !pages);
	if (!ret && pages)
		check_pages(pages);
	image_store_free(&store);
	fuzz_assert(!store.used && fuzz_fds() == fds);
	return 0;
}
