// SPDX-License-Identifier: GPL-2.0
/*
 * Pagemaps of a lazy restore, or of the parent of a pre-dump, with those of parents. Input: the length of the pages
 * images, in pages, then up to three chunks: the pagemap, that of the parent, and that of its parent.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "criu/page_command.h"
#include "fuzz/common.h"
#include "services/page_chain.h"

#define TASK	77UL
#define LEVELS	3
#define PIECE	16
#define PAGES_MAX	(1UL << 20)

static void put_level(const char *path, const struct fuzz_input *pagemap, uint64_t nr_pages)
{
	char name[512];
	int fd;

	if (*path)
		mkdirat(fuzz_dir(), path, 0700);
	snprintf(name, sizeof(name), "%spagemap-77.img", path);
	fd = openat(fuzz_dir(), name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	fuzz_assert(fd >= 0 && !io_write_all(fd, pagemap->data, pagemap->size));
	close(fd);
	snprintf(name, sizeof(name), "%spages-5.img", path);
	fd = openat(fuzz_dir(), name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	fuzz_assert(fd >= 0 && !ftruncate(fd, nr_pages * PAGE_BYTES));
	close(fd);
}

/* The set of pages of a mapping as large as user space takes seconds, and is no fault. */
static bool is_small(const struct page_level *top)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < top->nr; i++)
		sum += (top->extents[i].end - top->extents[i].addr) / PAGE_BYTES;
	return sum < PAGES_MAX;
}

/* Return: whether they were read; 0 pages are read from a file that is too short */
static bool read_some(struct page_chain *chain, uint64_t addr, uint64_t *nr_pages, bool whole)
{
	static uint8_t buf[PIECE * PAGE_BYTES];
	struct page_place place;
	struct error err = { 0 };
	uint64_t most = *nr_pages;
	int ret;

	if (!page_chain_find(chain, addr, nr_pages, &place)) {
		fuzz_assert(*nr_pages && *nr_pages <= most);
		return false;
	}
	fuzz_assert(*nr_pages && *nr_pages <= most && place.level < chain->nr);
	most = *nr_pages;
	ret = page_chain_read(chain, &place, nr_pages, buf, &err);
	fuzz_error_fits(ret, &err);
	fuzz_assert(ret >= 0 && (!whole || (ret && *nr_pages == most)));
	fuzz_assert(!ret || (*nr_pages && *nr_pages <= most));
	if (!ret)
		*nr_pages = most;
	return ret;
}

/* A lazy restore: each page that is lacking can be read, or is in a file that is too short. */
static void read_lacking(struct page_chain *chain)
{
	struct page_set lacking;
	struct error err = { 0 };
	uint64_t addr = 0;
	struct run run;
	int ret;

	page_set_init(&lacking);
	ret = page_chain_lacking(chain, &lacking, &err) || page_chain_check_lacking(chain, &err) ? -1 : 0;
	fuzz_error_fits(ret, &err);
	for (int i = 0; !ret && i < 256 && page_set_next(&lacking, addr, USER_END, PIECE, &run); i++) {
		uint64_t nr_pages = run.nr_pages;
		struct page_place place;

		fuzz_assert(page_chain_find(chain, run.addr, &nr_pages, &place));
		read_some(chain, run.addr, &nr_pages, false);
		addr = run.addr + nr_pages * PAGE_BYTES;
	}
	page_set_destroy(&lacking);
}

/* A parent of a pre-dump: all that is found can be read. */
static void read_whole(struct page_chain *chain)
{
	uint64_t addr = chain->list->map.nr ? chain->list->map.extents->addr : 0;
	struct error err = { 0 };
	int ret = page_chain_check_files(chain, &err);

	fuzz_error_fits(ret, &err);
	for (int i = 0; !ret && i < 256 && addr < USER_END; i++) {
		uint64_t nr_pages = PIECE;

		read_some(chain, addr, &nr_pages, true);
		addr += nr_pages * PAGE_BYTES;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[LEVELS] = { "", "parent/", "parent/parent/" };
	struct fuzz_input in = { data, size };
	uint64_t nr_pages = fuzz_byte(&in);
	struct page_chain chain;
	struct error err = { 0 };
	int before = fuzz_dir() >= 0 ? fuzz_fds() : 0, ret;

	for (int i = 0; i < LEVELS && (!i || in.size); i++) {
		struct fuzz_input pagemap = fuzz_chunk(&in);

		put_level(paths[i], &pagemap, nr_pages);
	}
	ret = page_chain_open(&chain, fuzz_dir(), TASK << 8 | PAGE_TARGET_PROCESS, &err);
	fuzz_error_fits(ret, &err);
	fuzz_assert(ret > 0 ? chain.nr == 1 : !chain.nr);
	if (ret > 0) {
		ret = page_chain_climb(&chain, &err);
		fuzz_error_fits(ret, &err);
		if (!ret && is_small(&chain.list->map)) {
			read_lacking(&chain);
			read_whole(&chain);
		}
	}
	page_chain_free(&chain);
	fuzz_assert(fuzz_fds() == before);
	fuzz_dir_empty(fuzz_dir());
	return 0;
}
