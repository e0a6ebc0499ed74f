// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "base/page.h"
#include "criu/page_command.h"
#include "criu/pagemap.h"
#include "services/page_chain.h"

/* @dir_fd is the chain's from now on, or closed. */
static int add_directory(struct page_chain *chain, int dir_fd, struct error *err)
{
	struct page_directory *list = NULL;

	if (chain->nr == PAGE_LEVELS_MAX) {
		error_set(err, CODE_CRIU, NULL, "the chain of parents does not end");
	} else {
		list = reallocarray(chain->list, chain->nr + 1, sizeof(*list));
		if (!list)
			error_set(err, CODE_INTERNAL, NULL, "no memory for a chain of images");
	}
	if (!list) {
		close(dir_fd);
		return -1;
	}
	chain->list = list;
	list[chain->nr++] = (struct page_directory){ .dir_fd = dir_fd, .pages_fd = -1 };
	return 0;
}

/* Return: 1; 0 without such a file; -1 with @err */
static int read_last(struct page_chain *chain, struct error *err)
{
	struct page_directory *last = &chain->list[chain->nr - 1];
	int fd = openat(last->dir_fd, chain->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), ret;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "cannot open image %s", chain->name);
	ret = page_level_read(&last->map, fd, chain->name, err);
	close(fd);
	return ret ? -1 : 1;
}

int page_chain_open(struct page_chain *chain, int dir_fd, uint64_t target, struct error *err)
{
	int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0), ret = -1;

	*chain = (struct page_chain){ 0 };
	page_target_name(target, "", chain->name);
	if (fd < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot use the directory of %s", chain->name);
	if (!add_directory(chain, fd, err))
		ret = read_last(chain, err);
	if (ret <= 0)
		page_chain_free(chain);
	return ret;
}

int page_chain_open_task(struct page_chain *chain, int dir_fd, pid_t pid, struct error *err)
{
	int ret = page_chain_open(chain, dir_fd, (uint64_t)pid << 8 | PAGE_TARGET_PROCESS, err);

	if (!ret)
		error_set(err, CODE_CRIU, NULL, "there is no image pagemap-%d.img", pid);
	return ret > 0 ? 0 : -1;
}

/* Return: 1; 0: the file is not there yet; -1 with @err */
static int open_pages(struct page_directory *directory, struct error *err)
{
	char name[IMAGE_NAME_MAX];

	if (directory->pages_fd >= 0)
		return 1;
	snprintf(name, sizeof(name), "pages-%u.img", directory->map.pages_id);
	directory->pages_fd = openat(directory->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (directory->pages_fd < 0 && errno != ENOENT)
		return error_errno(err, CODE_CRIU, NULL, "the image %s", name);
	return directory->pages_fd >= 0;
}

/* A directory whose file with pages is open, or not needed, is needed no more: a long chain would take all descriptors. */
static void settle(struct page_directory *directory)
{
	struct error ignored = { 0 };

	if (directory->map.bytes && open_pages(directory, &ignored) <= 0)
		return;
	close(directory->dir_fd);
	directory->dir_fd = -1;
}

static int climb_one(struct page_chain *chain, struct error *err)
{
	int fd = openat(chain->list[chain->nr - 1].dir_fd, "parent", O_DIRECTORY | O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return error_errno(err, CODE_CRIU, NULL, "the parent of the images with %s", chain->name);
	settle(&chain->list[chain->nr - 1]);
	if (add_directory(chain, fd, err))
		return -1;
	ret = read_last(chain, err);
	return ret ? ret : error_set(err, CODE_CRIU, NULL, "the parent's images have no %s", chain->name);
}

int page_chain_climb(struct page_chain *chain, struct error *err)
{
	while (chain->nr && chain->list[chain->nr - 1].map.elsewhere)
		if (climb_one(chain, err) < 0)
			return -1;
	return 0;
}

static int check_file(struct page_directory *directory, struct error *err)
{
	int ret = open_pages(directory, err);
	struct stat st;

	if (ret < 0)
		return -1;
	if (!ret)
		return error_set(err, CODE_CRIU, NULL, "the image pages-%u.img is not there", directory->map.pages_id);
	if (fstat(directory->pages_fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < directory->map.bytes)
		return error_set(err, CODE_CRIU, NULL, "the image pages-%u.img is cut short", directory->map.pages_id);
	return 0;
}

int page_chain_check_files(struct page_chain *chain, struct error *err)
{
	for (size_t i = 0; i < chain->nr; i++)
		if (chain->list[i].map.bytes && check_file(&chain->list[i], err))
			return -1;
	return 0;
}

int page_chain_lacking(const struct page_chain *chain, struct page_set *set, struct error *err)
{
	const struct page_level *top = &chain->list->map;

	for (size_t i = 0; i < top->nr; i++) {
		const struct page_extent *extent = &top->extents[i];

		if ((extent->flags & PAGEMAP_LAZY) &&
		    page_set_add(set, extent->addr, (extent->end - extent->addr) / PAGE_BYTES, err))
			return -1;
	}
	return 0;
}

int page_chain_check_lacking(const struct page_chain *chain, struct error *err)
{
	const struct page_level *top = &chain->list->map;
	struct page_place place;

	for (size_t i = 0; i < top->nr; i++) {
		uint64_t addr = top->extents[i].addr;

		while ((top->extents[i].flags & PAGEMAP_LAZY) && addr < top->extents[i].end) {
			uint64_t nr_pages = (top->extents[i].end - addr) / PAGE_BYTES;

			if (!page_chain_find(chain, addr, &nr_pages, &place))
				return error_set(err, CODE_CRIU,
						 "its pages are at the dump: --address and --port say where that listens",
						 "the images do not have the page at %#" PRIx64, addr);
			addr += nr_pages * PAGE_BYTES;
		}
	}
	return 0;
}

/* @nr_pages becomes what is left of it up to @end. */
static void shorten(uint64_t *nr_pages, uint64_t addr, uint64_t end)
{
	if (*nr_pages > (end - addr) / PAGE_BYTES)
		*nr_pages = (end - addr) / PAGE_BYTES;
}

bool page_chain_find(const struct page_chain *chain, uint64_t addr, uint64_t *nr_pages, struct page_place *place)
{
	for (size_t i = 0; i < chain->nr; i++) {
		const struct page_extent *extent = page_level_find(&chain->list[i].map, addr);

		if (!extent)
			return false;
		if (extent->addr > addr) {
			shorten(nr_pages, addr, extent->addr);
			return false;
		}
		shorten(nr_pages, addr, extent->end);
		if (extent->flags & PAGEMAP_PRESENT) {
			*place = (struct page_place){ i, extent->at + addr - extent->addr };
			return true;
		}
		if (!(extent->flags & PAGEMAP_PARENT))
			return false;
	}
	return false;
}

int page_chain_read(struct page_chain *chain, const struct page_place *place, uint64_t *nr_pages, void *buf,
		    struct error *err)
{
	struct page_directory *directory = &chain->list[place->level];
	int ret = open_pages(directory, err);
	size_t done = 0;

	if (ret <= 0)
		return ret;
	if (io_pread_all(directory->pages_fd, buf, *nr_pages * PAGE_BYTES, place->at, &done))
		return error_errno(err, CODE_CRIU, NULL, "cannot read pages-%u.img", directory->map.pages_id);
	*nr_pages = done / PAGE_BYTES;
	return *nr_pages > 0;
}

void page_chain_free(struct page_chain *chain)
{
	for (size_t i = 0; i < chain->nr; i++) {
		if (chain->list[i].pages_fd >= 0)
			close(chain->list[i].pages_fd);
		if (chain->list[i].dir_fd >= 0)
			close(chain->list[i].dir_fd);
		page_level_free(&chain->list[i].map);
	}
	free(chain->list);
	*chain = (struct page_chain){ 0 };
}
