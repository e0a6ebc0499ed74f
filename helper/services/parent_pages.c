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
#include "base/page.h"
#include "criu/page_command.h"
#include "criu/pagemap.h"
#include "services/parent_pages.h"

#define ROOM_MIN	64UL

static int level_add(struct parent_level *level, const struct pagemap_entry *entry, uint64_t at,
		     struct error *err)
{
	size_t room = level->room ? level->room * 2 : ROOM_MIN;
	struct parent_extent *extents;

	if (level->nr == level->room) {
		extents = reallocarray(level->extents, room, sizeof(*extents));
		if (!extents)
			return error_set(err, CODE_INTERNAL, NULL, "no memory for the parent's pagemap");
		level->extents = extents;
		level->room = room;
	}
	level->extents[level->nr++] = (struct parent_extent){
		.addr = entry->addr, .end = entry->addr + entry->nr_pages * PAGE_BYTES, .at = at,
	};
	return 0;
}

struct level_walk {
	struct parent_level *level;
	struct parent_level_pages *pages;
};

static int take_entry(void *ctx, const struct pagemap_entry *entry, uint64_t at, struct error *err)
{
	struct level_walk *walk = ctx;

	if (entry->flags & PAGEMAP_PRESENT)
		return level_add(walk->level, entry, at * PAGE_BYTES, err);
	if (!(entry->flags & PAGEMAP_PARENT))
		return 0;
	walk->pages->elsewhere = true;
	return level_add(walk->level, entry, PARENT_ELSEWHERE, err);
}

static int open_file(struct parent_level *level, int dir_fd, uint32_t id, uint64_t bytes, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	struct stat st;

	snprintf(name, sizeof(name), "pages-%u.img", id);
	level->pages_fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (level->pages_fd < 0 || fstat(level->pages_fd, &st))
		return error_errno(err, CODE_CRIU, NULL, "the parent's image %s", name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < bytes)
		return error_set(err, CODE_CRIU, NULL, "the parent's image %s is cut short", name);
	return 0;
}

int parent_level_read(struct parent_level *level, int fd, const char *name,
		      struct parent_level_pages *pages, struct error *err)
{
	struct level_walk of = { .level = level, .pages = pages };
	struct pagemap_walk walk = { .take = take_entry, .ctx = &of };
	int ret;

	*pages = (struct parent_level_pages){ 0 };
	ret = pagemap_walk_fd(fd, name, &walk, err);
	pages->id = walk.pages_id;
	pages->bytes = walk.present * PAGE_BYTES;
	return ret;
}

static int read_level(struct parent_level *level, int dir_fd, const char *name, bool *elsewhere,
		      struct error *err)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), ret;
	struct parent_level_pages pages;

	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot open image %s", name);
	ret = parent_level_read(level, fd, name, &pages, err);
	close(fd);
	*elsewhere |= pages.elsewhere;
	if (!ret && pages.bytes)
		ret = open_file(level, dir_fd, pages.id, pages.bytes, err);
	return ret;
}

static struct parent_level *add_level(struct parent_pages *parent, struct error *err)
{
	struct parent_level *levels;

	if (parent->nr == PARENT_LEVELS_MAX) {
		error_set(err, CODE_CRIU, NULL, "the chain of parents does not end");
		return NULL;
	}
	levels = reallocarray(parent->levels, parent->nr + 1, sizeof(*levels));
	if (!levels) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for a chain of images");
		return NULL;
	}
	parent->levels = levels;
	levels[parent->nr] = (struct parent_level){ .pages_fd = -1 };
	return &levels[parent->nr++];
}

/* @dir_fd: closed. Return: the directory of the parent, or -1 with @err */
static int climb(int dir_fd, struct error *err)
{
	int up = openat(dir_fd, "parent", O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	if (up < 0)
		error_errno(err, CODE_CRIU, NULL, "the parent's own parent");
	close(dir_fd);
	return up;
}

static int read_chain(struct parent_pages *parent, int dir_fd, const char *name, struct error *err)
{
	bool elsewhere = true;
	int ret = 0, fd = openat(dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "the parent's directory");
	while (!ret && elsewhere) {
		struct parent_level *level = add_level(parent, err);

		elsewhere = false;
		ret = level ? read_level(level, fd, name, &elsewhere, err) : -1;
		if (!ret && elsewhere) {
			fd = climb(fd, err);
			ret = fd < 0 ? -1 : 0;
		}
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

int parent_pages_open(struct parent_pages *parent, int dir_fd, uint64_t target, struct error *err)
{
	char name[IMAGE_NAME_MAX];
	struct stat st;

	*parent = (struct parent_pages){ 0 };
	page_target_name(target, "", name);
	if (fstatat(dir_fd, name, &st, 0) && errno == ENOENT)
		return 0;
	if (!read_chain(parent, dir_fd, name, err))
		return 1;
	parent_pages_free(parent);
	return -1;
}

const struct parent_extent *parent_level_find(const struct parent_level *level, uint64_t addr)
{
	size_t low = 0, high = level->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (level->extents[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < level->nr ? &level->extents[low] : NULL;
}

static size_t shorter(uint64_t bytes, size_t nr)
{
	return bytes / PAGE_BYTES < nr ? bytes / PAGE_BYTES : nr;
}

ssize_t parent_pages_read(const struct parent_pages *parent, uint64_t addr, size_t nr, void *buf, bool *has,
			  struct error *err)
{
	const struct parent_extent *extent = NULL;
	size_t level, done;

	*has = false;
	for (level = 0; level < parent->nr; level++) {
		extent = parent_level_find(&parent->levels[level], addr);
		if (!extent)
			return nr;
		if (extent->addr > addr)
			return shorter(extent->addr - addr, nr);
		nr = shorter(extent->end - addr, nr);
		if (extent->at != PARENT_ELSEWHERE)
			break;
	}
	if (level == parent->nr)
		return nr;
	if (io_pread_all(parent->levels[level].pages_fd, buf, nr * PAGE_BYTES, extent->at + addr - extent->addr,
			 &done))
		return error_errno(err, CODE_CRIU, NULL, "cannot read the parent's pages");
	if (done != nr * PAGE_BYTES)
		return error_set(err, CODE_CRIU, NULL, "the parent's pages are cut short");
	*has = true;
	return nr;
}

void parent_pages_free(struct parent_pages *parent)
{
	for (size_t i = 0; i < parent->nr; i++) {
		if (parent->levels[i].pages_fd >= 0)
			close(parent->levels[i].pages_fd);
		free(parent->levels[i].extents);
	}
	free(parent->levels);
	*parent = (struct parent_pages){ 0 };
}
