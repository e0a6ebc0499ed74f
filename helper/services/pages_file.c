// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/big_pipe.h"
#include "base/io.h"
#include "base/page.h"
#include "services/pages_file.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC	0x58465342
#endif

#define BUF_BYTES	(2 * PAGES_FILE_BATCH * PAGE_BYTES)
/* Through the page cache the buffer is read again at once: it should still be in the CPU's cache. */
#define CACHED_BATCH	64

int pages_file_init(struct pages_file *file, bool references, bool buffered, struct error *err)
{
	*file = (struct pages_file){ .pipe = { -1, -1 }, .fd = -1, .buffered = buffered };
	file->buf = mmap(NULL, BUF_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file->buf == MAP_FAILED) {
		file->buf = NULL;
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for pages");
	}
	if (references && big_pipe_open(file->pipe)) {
		pages_file_free(file);
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make a pipe");
	}
	/* a smaller one takes fewer references at a time, for which there is no code */
	if (references && fcntl(file->pipe[0], F_GETPIPE_SZ) < (int)(PAGES_FILE_BATCH * PAGE_BYTES))
		big_pipe_close(file->pipe);
	return 0;
}

void pages_file_free(struct pages_file *file)
{
	if (file->buf)
		munmap(file->buf, BUF_BYTES);
	big_pipe_close(file->pipe);
	*file = (struct pages_file){ .pipe = { -1, -1 }, .fd = -1 };
}

static bool set_direct(int fd, bool direct)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}

/* What a process whose image failed has left in the pipe must not get into another's. */
static int empty_pipe(struct pages_file *file, struct error *err)
{
	if (!file->piped)
		return 0;
	big_pipe_close(file->pipe);
	file->piped = 0;
	return big_pipe_open(file->pipe) ?
	       error_errno(err, CODE_INTERNAL, NULL, "cannot make a pipe") : 0;
}

int pages_file_begin(struct pages_file *file, int fd, struct error *err)
{
	file->fd = fd;
	file->filled = 0;
	file->pages = 0;
	file->direct = !file->buffered && set_direct(fd, true);
	return empty_pipe(file, err);
}

size_t pages_file_batch(const struct pages_file *file)
{
	return file->direct ? PAGES_FILE_BATCH : CACHED_BATCH;
}

/*
 * The program writes to a page while the disk reads it. These file systems take that: the image then has older or
 * newer bytes, and the page is dirty for the next dump. A file system with checksums of data (btrfs) would call its
 * own file damaged. Through the page cache the kernel copies a page, which is right everywhere.
 */
bool pages_file_takes_references(const struct pages_file *file)
{
	struct statfs fs;

	if (file->pipe[0] < 0 || !file->direct)
		return file->pipe[0] >= 0;
	return !fstatfs(file->fd, &fs) && (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC);
}

/* A file system may take O_DIRECT of a file, and not of a write. */
static int write_some(struct pages_file *file, const uint8_t *at, size_t bytes, struct error *err)
{
	if (!io_write_all(file->fd, at, bytes))
		return 0;
	if (errno != EINVAL || !file->direct || lseek(file->fd, 0, SEEK_CUR) !=
	    (off_t)(file->pages * PAGE_BYTES) || !set_direct(file->fd, false))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot write pages");
	file->direct = false;
	return io_write_all(file->fd, at, bytes) ?
	       error_errno(err, CODE_INTERNAL, NULL, "cannot write pages") : 0;
}

static int write_buf(struct pages_file *file, struct error *err)
{
	if (file->filled && write_some(file, file->buf, file->filled * PAGE_BYTES, err))
		return -1;
	file->pages += file->filled;
	file->filled = 0;
	return 0;
}

static int write_pipe(struct pages_file *file, struct error *err)
{
	size_t left = file->piped * PAGE_BYTES;

	while (left) {
		ssize_t n = splice(file->pipe[0], NULL, file->fd, NULL, left, SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(err, CODE_INTERNAL, NULL, "cannot write pages");
		left -= n;
	}
	file->pages += file->piped;
	file->piped = 0;
	return 0;
}

int pages_file_room(struct pages_file *file, uint8_t **at, struct error *err)
{
	if (write_pipe(file, err))
		return -1;
	if (file->filled >= pages_file_batch(file) && write_buf(file, err))
		return -1;
	*at = file->buf + file->filled * PAGE_BYTES;
	return 0;
}

int pages_file_pipe(struct pages_file *file, size_t *room, struct error *err)
{
	if (write_buf(file, err))
		return -1;
	if (file->piped == PAGES_FILE_BATCH && write_pipe(file, err))
		return -1;
	*room = PAGES_FILE_BATCH - file->piped;
	return 0;
}

int pages_file_flush(struct pages_file *file, struct error *err)
{
	return write_pipe(file, err) || write_buf(file, err) ? -1 : 0;
}
