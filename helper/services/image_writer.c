// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/io.h"
#include "base/page.h"
#include "criu/page_command.h"
#include "criu/pagemap.h"
#include "services/image_writer.h"

#define MAP_BYTES_MAX	(64UL << 10)	/* records in memory, before they are written */

void image_made_names(const struct image_made *made, char map[IMAGE_NAME_MAX],
		      char pages[IMAGE_NAME_MAX])
{
	page_target_name(made->target, "", map);
	snprintf(pages, IMAGE_NAME_MAX, "pages-%u.img", made->pages_id);
}

static int create(int dir_fd, const char *image, struct error *err)
{
	char name[PART_NAME_MAX];
	int fd;

	snprintf(name, sizeof(name), "%s" PART_SUFFIX, image);
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? error_errno(err, CODE_INTERNAL, NULL, "cannot create %s", name) : fd;
}

int image_writer_open(struct image_writer *writer, int dir_fd, const struct image_made *made,
		      struct error *err)
{
	char map[IMAGE_NAME_MAX], pages[IMAGE_NAME_MAX];

	*writer = IMAGE_WRITER_NONE;
	writer->made = *made;
	writer->dir_fd = dir_fd;
	image_made_names(made, map, pages);
	writer->map_fd = create(dir_fd, map, err);
	if (writer->map_fd >= 0)
		writer->pages_fd = create(dir_fd, pages, err);
	if (writer->pages_fd < 0) {
		image_writer_drop(writer);
		return -1;
	}
	image_out_init(&writer->map, IMAGE_PAGEMAP);
	pagemap_put_head(&writer->map, made->pages_id);
	return 0;
}

static int flush(struct image_writer *writer, struct error *err)
{
	if (writer->map.failed)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for a pagemap");
	if (io_write_all(writer->map_fd, writer->map.data, writer->map.bytes))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot write the pagemap of object %"
				   PRIu64, writer->made.target >> 8);
	writer->map.bytes = 0;
	return 0;
}

static bool flags_are_sound(uint32_t flags)
{
	const uint32_t known = PAGEMAP_PARENT | PAGEMAP_LAZY | PAGEMAP_PRESENT;

	return flags && !(flags & ~known) &&
	       !((flags & PAGEMAP_PARENT) && (flags & PAGEMAP_PRESENT));
}

int image_writer_entry(struct image_writer *writer, uint64_t addr, uint64_t nr_pages,
		       uint32_t flags, struct error *err)
{
	if (!flags_are_sound(flags))
		return error_set(err, CODE_PEER, "the CRIU that sends may be too new",
				 "an entry has flags %#x", flags);
	/* CRIU's restore reads entries forward only */
	if (!nr_pages || addr % PAGE_BYTES || addr < writer->from || addr >= USER_END ||
	    nr_pages > (USER_END - addr) / PAGE_BYTES)
		return error_set(err, CODE_PEER, NULL, "a bad entry: %" PRIu64 " pages at %#" PRIx64,
				 nr_pages, addr);
	writer->from = addr + nr_pages * PAGE_BYTES;
	if (flags & PAGEMAP_PRESENT)
		writer->counts.present += nr_pages;
	else if (flags & PAGEMAP_PARENT)
		writer->counts.in_parent += nr_pages;
	else
		writer->counts.lazy += nr_pages;
	pagemap_put(&writer->map, addr, nr_pages, flags);
	return writer->map.failed || writer->map.bytes > MAP_BYTES_MAX ? flush(writer, err) : 0;
}

/* A network file system may tell of a full disk at close(), and not before when nobody calls fsync(). */
static int close_file(const struct image_writer *writer, int *fd, const char *what, struct error *err)
{
	int ret = *fd < 0 ? 0 : close(*fd);

	*fd = -1;
	return ret ? error_errno(err, CODE_INTERNAL, NULL, "cannot write %s-%u.img", what,
				 writer->made.pages_id) : 0;
}

int image_writer_finish(struct image_writer *writer, struct error *err)
{
	int ret = writer->map_fd < 0 ? 0 : flush(writer, err);

	if (!ret)
		ret = close_file(writer, &writer->pages_fd, "pages", err);
	if (!ret)
		ret = close_file(writer, &writer->map_fd, "pagemap of pages", err);
	image_writer_drop(writer);
	return ret;
}

void image_writer_drop(struct image_writer *writer)
{
	if (writer->map_fd >= 0)
		close(writer->map_fd);
	if (writer->pages_fd >= 0)
		close(writer->pages_fd);
	writer->map_fd = -1;
	writer->pages_fd = -1;
	image_out_free(&writer->map);
}
