// SPDX-License-Identifier: GPL-2.0
/*
 * Pagemaps of a lazy restore, those of parents included. Input: the length of the pages images, in pages, then up to
 * three chunks: the pagemap, that of the parent, and that of its parent.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "fuzz/common.h"
#include "services/lazy_images.h"

#define TASK	77
#define LEVELS	3
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
static bool is_small(const struct lazy_images *images)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < images->nr; i++)
		sum += images->extents[i].nr_pages;
	return sum < PAGES_MAX;
}

/* Each page that is lacking can be read, or is in a file that is too short. */
static void read_all(struct lazy_images *images, const struct page_set *lacking)
{
	static uint8_t buf[16 * PAGE_BYTES];
	uint64_t addr = 0;
	struct run run;

	for (int i = 0; i < 256 && page_set_next(lacking, addr, USER_END, 16, &run); i++) {
		uint64_t nr_pages = run.nr_pages;
		struct error err = { 0 };
		int ret = lazy_images_read(images, run.addr, &nr_pages, buf, &err);

		fuzz_error_fits(ret, &err);
		fuzz_assert(ret >= 0);
		fuzz_assert(!ret || (nr_pages && nr_pages <= run.nr_pages));
		addr = run.addr + (ret ? nr_pages : run.nr_pages) * PAGE_BYTES;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[LEVELS] = { "", "parent/", "parent/parent/" };
	struct fuzz_input in = { data, size };
	uint64_t nr_pages = fuzz_byte(&in);
	struct lazy_images *images;
	struct error err = { 0 };
	int before = fuzz_dir() >= 0 ? fuzz_fds() : 0;

	for (int i = 0; i < LEVELS && (!i || in.size); i++) {
		struct fuzz_input pagemap = fuzz_chunk(&in);

		put_level(paths[i], &pagemap, nr_pages);
	}
	images = lazy_images_open(fuzz_dir(), TASK, &err);
	fuzz_error_fits(images ? 0 : -1, &err);
	if (images && is_small(images)) {
		struct page_set lacking;

		page_set_init(&lacking);
		if (!lazy_images_lacking(images, &lacking, &err)) {
			int ret = lazy_images_check(images, &err);

			fuzz_error_fits(ret, &err);
			if (!ret)
				read_all(images, &lacking);
		}
		page_set_destroy(&lacking);
	}
	lazy_images_free(images);
	fuzz_assert(fuzz_fds() == before);
	fuzz_dir_empty(fuzz_dir());
	return 0;
}
