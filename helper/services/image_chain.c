// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/io.h"
#include "base/page.h"
#include "criu/pagemap.h"
#include "services/image_chain.h"
#include "services/page_level.h"

#define PAGEMAP_PREFIX	"pagemap-"
#define PARTS_MIN	64UL

/**
 * struct flat - the images of one pagemap
 * @name: of the pagemap; @id: number of the pages image
 * @levels: from the highest on, with @pages: their pages images
 * @parts: of the pages image so far; @bytes: of all of them
 */
struct flat {
	struct image_store *store;
	struct stored_dump *dump;
	const char *name;
	uint32_t id;
	struct page_level *levels;
	const struct stored_image **pages;
	size_t nr;
	struct image_part *parts;
	size_t nr_parts, room;
	uint64_t bytes;
	struct image_out map;
};

/** struct chain - @top: the highest level, with the names of @nr pagemaps in it */
struct chain {
	unsigned int top;
	bool any, failed;
	const char **names;
	size_t nr, room;
};

/* Return: the name behind the level, or NULL: it is no image of a chain */
static const char *split(const char *key, unsigned int *level)
{
	char *end;

	if (*key != *IMAGE_CHAIN_PREFIX)
		return NULL;
	*level = strtoul(key + 1, &end, 10);
	return *end == '/' && *level < IMAGE_LEVELS_MAX ? end + 1 : NULL;
}

static void find_top(const void *node, VISIT visit, void *ctx)
{
	const struct stored_image *image = *(const struct stored_image *const *)node;
	struct chain *chain = ctx;
	unsigned int level;

	if ((visit != postorder && visit != leaf) || !split(image->name, &level))
		return;
	chain->any = true;
	if (level > chain->top)
		chain->top = level;
}

static void find_names(const void *node, VISIT visit, void *ctx)
{
	const struct stored_image *image = *(const struct stored_image *const *)node;
	struct chain *chain = ctx;
	const char **names, *name;
	unsigned int level;

	if (visit != postorder && visit != leaf)
		return;
	name = split(image->name, &level);
	if (!name || level != chain->top || strncmp(name, PAGEMAP_PREFIX, strlen(PAGEMAP_PREFIX)))
		return;
	if (chain->nr == chain->room) {
		chain->room = chain->room ? chain->room * 2 : PARTS_MIN;
		names = reallocarray(chain->names, chain->room, sizeof(*names));
		if (!names) {
			chain->failed = true;
			return;
		}
		chain->names = names;
	}
	chain->names[chain->nr++] = name;
}

/* The image as a file, for readers of files. Return: a descriptor, or -1 with @err */
static int open_image(const struct stored_image *image, struct error *err)
{
	int fd = image->fd >= 0 ? fcntl(image->fd, F_DUPFD_CLOEXEC, 0) :
				  memfd_create("image", MFD_CLOEXEC);

	if (fd >= 0 && (image->fd >= 0 || !io_pwrite_all(fd, image->data, image->bytes, 0)))
		return fd;
	if (fd >= 0)
		close(fd);
	return error_errno(err, CODE_INTERNAL, NULL, "no memory for an image");
}

static const struct stored_image *get(const struct flat *flat, unsigned int level, const char *name)
{
	char key[IMAGE_NAME_BYTES + 1];

	if (snprintf(key, sizeof(key), IMAGE_CHAIN_PREFIX "%u/%s", level, name) >= (int)sizeof(key))
		return NULL;
	return image_store_get(flat->store, flat->dump, key);
}

static int read_level(struct flat *flat, unsigned int number, const struct stored_image *map, struct error *err)
{
	struct page_level *level = &flat->levels[flat->nr];
	char name[IMAGE_NAME_MAX];
	const struct stored_image *image;
	int fd = open_image(map, err), ret;

	if (fd < 0)
		return -1;
	flat->nr++;
	ret = page_level_read(level, fd, flat->name, err);
	close(fd);
	if (ret)
		return -1;
	snprintf(name, sizeof(name), "pages-%u.img", level->pages_id);
	image = get(flat, number, name);
	if (level->bytes && (!image || image->bytes < level->bytes))
		return error_set(err, CODE_PEER, NULL, "%s of level %u of the chain is cut short", name,
				 number);
	flat->pages[flat->nr - 1] = image;
	return 0;
}

static int read_levels(struct flat *flat, unsigned int top, struct error *err)
{
	bool elsewhere = true;

	flat->levels = calloc(top + 1, sizeof(*flat->levels));
	flat->pages = calloc(top + 1, sizeof(*flat->pages));
	if (!flat->levels || !flat->pages)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for a chain of images");
	for (unsigned int number = top + 1; number-- && elsewhere;) {
		const struct stored_image *map = get(flat, number, flat->name);

		if (!map)
			break;
		if (read_level(flat, number, map, err))
			return -1;
		elsewhere = flat->levels[flat->nr - 1].elsewhere;
	}
	return 0;
}

/* @bytes of the level's pages image from @at on come next */
static int add_part(struct flat *flat, size_t level, uint64_t at, uint64_t bytes, struct error *err)
{
	struct image_part *last = flat->nr_parts ? &flat->parts[flat->nr_parts - 1] : NULL, *parts;

	if (last && last->from == flat->pages[level] && last->at + last->bytes == at) {
		last->bytes += bytes;
		flat->bytes += bytes;
		return 0;
	}
	if (flat->nr_parts == flat->room) {
		size_t room = flat->room ? flat->room * 2 : PARTS_MIN;

		if (image_store_reserve(flat->store, flat->dump, NULL,
					(room - flat->room) * sizeof(*parts), err))
			return -1;
		parts = reallocarray(flat->parts, room, sizeof(*parts));
		if (!parts)
			return error_set(err, CODE_INTERNAL, NULL, "no memory for a chain of images");
		flat->parts = parts;
		flat->room = room;
	}
	flat->parts[flat->nr_parts++] = (struct image_part){
		.from = flat->pages[level], .start = flat->bytes, .at = at, .bytes = bytes,
	};
	flat->bytes += bytes;
	return 0;
}

/* The first pages from @addr on that one level has. Return: where they end, or 0 with @err */
static uint64_t take_some(struct flat *flat, uint64_t addr, uint64_t end, struct error *err)
{
	for (size_t i = 0; i < flat->nr; i++) {
		const struct page_extent *extent = page_level_find(&flat->levels[i], addr);

		if (!extent || extent->addr > addr)
			break;
		if (extent->end < end)
			end = extent->end;
		if (extent->flags & PAGEMAP_PRESENT)
			return add_part(flat, i, extent->at + addr - extent->addr, end - addr, err) ?
			       0 : end;
		if (!(extent->flags & PAGEMAP_PARENT))
			break;
	}
	error_set(err, CODE_PEER, NULL, "no pre-dump of the chain has the page %#" PRIx64 " of %.64s", addr,
		  flat->name);
	return 0;
}

static int take_all(struct flat *flat, struct error *err)
{
	const struct page_level *top = flat->levels;

	for (size_t i = 0; i < top->nr; i++) {
		uint64_t addr = top->extents[i].addr, end = top->extents[i].end;

		if (!(top->extents[i].flags & (PAGEMAP_PRESENT | PAGEMAP_PARENT)))
			continue;
		pagemap_put(&flat->map, addr, (end - addr) / PAGE_BYTES, PAGEMAP_PRESENT);
		while (addr < end) {
			addr = take_some(flat, addr, end, err);
			if (!addr)
				return -1;
		}
	}
	return flat->map.failed ? error_set(err, CODE_INTERNAL, NULL, "no memory for a pagemap") : 0;
}

/* Return: an image of the dump that all may read once it is whole, or NULL with @err */
static struct stored_image *new_image(const struct flat *flat, const char *name, struct error *err)
{
	return image_store_image(flat->store, flat->dump, name, err);
}

static int store(struct flat *flat, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	struct stored_image *map = new_image(flat, flat->name, err), *pages;

	if (!map || image_store_reserve(flat->store, flat->dump, map, flat->map.bytes, err) ||
	    image_store_add(map, flat->map.data, flat->map.bytes, err))
		return -1;
	image_store_whole(flat->store, flat->dump, map);
	snprintf(name, sizeof(name), "pages-%u.img", flat->id);
	pages = new_image(flat, name, err);
	if (!pages)
		return -1;
	pages->parts = flat->parts;
	pages->nr_parts = flat->nr_parts;
	pages->bytes = flat->bytes;
	flat->parts = NULL;
	image_store_whole(flat->store, flat->dump, pages);
	return 0;
}

static void flat_free(struct flat *flat)
{
	for (size_t i = 0; i < flat->nr; i++)
		page_level_free(&flat->levels[i]);
	free(flat->levels);
	free(flat->pages);
	free(flat->parts);
	image_out_free(&flat->map);
}

static int flatten_one(struct image_store *in, struct stored_dump *dump, unsigned int top,
		       const char *name, uint32_t id, struct error *err)
{
	struct flat flat = { .store = in, .dump = dump, .name = name, .id = id };
	int ret;

	image_out_init(&flat.map, IMAGE_PAGEMAP);
	pagemap_put_head(&flat.map, id);
	ret = read_levels(&flat, top, err) || take_all(&flat, err) || store(&flat, err) ? -1 : 0;
	flat_free(&flat);
	return ret;
}

int image_chain_flatten(struct image_store *store, struct stored_dump *dump, struct error *err)
{
	struct chain chain = { 0 };
	int ret = 0;

	/* nobody else touches the tree of a dump that is sealed, and not committed */
	twalk_r(dump->images, find_top, &chain);
	if (!chain.any)
		return 0;
	twalk_r(dump->images, find_names, &chain);
	if (chain.failed)
		ret = error_set(err, CODE_INTERNAL, NULL, "no memory for a chain of images");
	for (size_t i = 0; i < chain.nr && !ret; i++)
		ret = flatten_one(store, dump, chain.top, chain.names[i], i + 1, err);
	free(chain.names);
	return ret;
}
