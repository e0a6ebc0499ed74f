/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages image of one process, to which pages are appended: copied ones through a buffer, others by reference
 * through a pipe.
 *
 * Written past the page cache (O_DIRECT) where the file system can do that: the CPU then touches no page a second
 * time, which is most of the cost of a pre-dump (Documentation/bench.rst).
 */
#ifndef MIGRATE_SERVICES_PAGES_FILE_H
#define MIGRATE_SERVICES_PAGES_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

#define PAGES_FILE_BATCH	256	/* most pages that come to the buffer, or into the pipe, at a time */

/**
 * struct pages_file - the buffer and the pipe, and the file to which they go now
 * @buf: room for 2 * PAGES_FILE_BATCH pages, of which the first @filled are to be written
 * @pipe: -1: no page goes by reference
 * @piped: pages in @pipe
 * @fd: the file, which belongs to the caller; -1: none
 * @buffered: do not try O_DIRECT
 * @direct: @fd is written past the page cache
 * @pages: pages that are in the file
 */
struct pages_file {
	uint8_t *buf;
	size_t filled, piped;
	int pipe[2], fd;
	bool buffered, direct;
	uint64_t pages;
};

/** pages_file_init() - @references: pages may come by reference; @buffered: not past the page cache */
int pages_file_init(struct pages_file *file, bool references, bool buffered, struct error *err);
void pages_file_free(struct pages_file *file);

/** pages_file_begin() - write to @fd, an empty file, from now on; what was not written is forgotten */
int pages_file_begin(struct pages_file *file, int fd, struct error *err);

/** pages_file_batch() - pages that should come at a time */
size_t pages_file_batch(const struct pages_file *file);

/** pages_file_takes_references() - pages may go into the pipe, from which the kernel writes them where they are */
bool pages_file_takes_references(const struct pages_file *file);

/** pages_file_room() - where the next PAGES_FILE_BATCH pages are put; writes what is there before, if need be */
int pages_file_room(struct pages_file *file, uint8_t **at, struct error *err);

/** pages_file_pipe() - how many pages the pipe takes (at least one); writes what is there before, if need be */
int pages_file_pipe(struct pages_file *file, size_t *room, struct error *err);

/** pages_file_flush() - write all that is in the buffer and in the pipe */
int pages_file_flush(struct pages_file *file, struct error *err);

#endif
