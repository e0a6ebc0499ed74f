// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/io.h"
#include "base/thread.h"
#include "criu/page_sink.h"
#include "criu/pagemap.h"

#define HEADER_NARROW	24	/* u32 command, u32 pages, u64 address, u64 target */
#define HEADER_WIDE	32	/* u32 command, u32 padding, u64 pages, u64 address, u64 target */
#define BUFFER_BYTES	(1UL << 20)
#define PIPE_BYTES	(1 << 20)

enum { COMMAND_ADD = 1, COMMAND_HOLE, COMMAND_OPEN, COMMAND_OPEN2, COMMAND_PARENT, COMMAND_ADD_FLAGS,
	COMMAND_CLOSE = 0x1023, COMMAND_FORCE_CLOSE };

/** struct command - what CRIU asks */
struct command {
	uint32_t id, flags;
	uint64_t nr_pages, addr, target;
};

static int fail(struct page_sink *sink, const char *what)
{
	return error_set(&sink->err, CODE_CRIU, "the installed CRIU may be too new",
			 "CRIU's page connection: %s", what);
}

/* Return: 1; 0: CRIU has hung up before the first byte; -1 */
static int read_all(struct page_sink *sink, void *to, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = recv(sink->fd, (uint8_t *)to + done, bytes - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return !n && !done ? 0 : fail(sink, "CRIU hung up");
		done += n;
	}
	return 1;
}

static int answer(struct page_sink *sink, const void *from, size_t bytes)
{
	return send(sink->fd, from, bytes, MSG_NOSIGNAL) == (ssize_t)bytes ? 0 :
	       fail(sink, "CRIU hung up");
}

static uint32_t get32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

static uint64_t get64(const uint8_t *from)
{
	uint64_t value;

	memcpy(&value, from, sizeof(value));
	return value;
}

/* The first command has no address, and a target that is not 0: so the form shows. */
static int read_command(struct page_sink *sink, struct command *command)
{
	uint8_t raw[HEADER_WIDE] = { 0 };
	int ret = read_all(sink, raw, sink->header == HEADER_WIDE ? HEADER_WIDE : HEADER_NARROW);

	if (ret <= 0)
		return ret;
	if (!sink->header && !get64(raw + 16)) {
		sink->header = HEADER_WIDE;
		if (read_all(sink, raw + HEADER_NARROW, HEADER_WIDE - HEADER_NARROW) <= 0)
			return -1;
	} else if (!sink->header) {
		sink->header = HEADER_NARROW;
	}
	command->id = get32(raw) & 0xffff;
	command->flags = get32(raw) >> 16;
	if (sink->header == HEADER_WIDE) {
		command->nr_pages = get64(raw + 8);
		command->addr = get64(raw + 16);
		command->target = get64(raw + 24);
	} else {
		command->nr_pages = get32(raw + 4);
		command->addr = get64(raw + 8);
		command->target = get64(raw + 16);
	}
	return 1;
}

static bool is_shm(uint64_t target)
{
	return (target & 0xff) == 2;
}

static void target_name(uint64_t target, const char *dir, char name[IMAGE_NAME_MAX])
{
	if (is_shm(target))
		snprintf(name, IMAGE_NAME_MAX, "%spagemap-shmem-%" PRIu64 ".img", dir, target >> 8);
	else
		snprintf(name, IMAGE_NAME_MAX, "%spagemap-%" PRIu64 ".img", dir, target >> 8);
}

static int store(struct page_sink *sink)
{
	int ret = 0;

	if (sink->pages_fd >= 0) {
		close(sink->pages_fd);
		ret = image_out_store(&sink->map, sink->images_fd, sink->name, &sink->err);
	}
	sink->pages_fd = -1;
	image_out_free(&sink->map);
	memset(&sink->map, 0, sizeof(sink->map));
	sink->target = 0;
	return ret;
}

/* Is it one of those whose pages come in frames? Then the dump has it. */
static bool throws(struct page_sink *sink, uint64_t target)
{
	for (size_t i = 0; is_shm(target) && i < sink->shm->nr; i++)
		if (sink->shm->objects[i].shmid == target >> 8) {
			sink->shm->objects[i].dumped = true;
			return true;
		}
	return false;
}

static int begin(struct page_sink *sink, const struct command *command)
{
	char name[IMAGE_NAME_MAX];

	if (store(sink))
		return -1;
	/* CRIU writes the first page when it has stopped all tasks */
	if (sink->shm->stands && !sink->told)
		sink->shm->stands(sink->shm->ctx);
	sink->told = true;
	if ((command->target & 0xff) != 1 && !is_shm(command->target))
		return fail(sink, "pages of an unknown kind");
	sink->target = command->target;
	sink->throws = throws(sink, command->target);
	if (sink->throws)
		return 0;
	target_name(command->target, "", sink->name);
	snprintf(name, sizeof(name), "pages-%u.img", ++sink->images);
	sink->pages_fd = openat(sink->images_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (sink->pages_fd < 0)
		return error_errno(&sink->err, CODE_CRIU, NULL, "cannot make the image %s", name);
	image_out_init(&sink->map, IMAGE_PAGEMAP);
	pagemap_put_head(&sink->map, sink->images);
	return 0;
}

static bool has_parent(const struct page_sink *sink, uint64_t target)
{
	char name[IMAGE_NAME_MAX];

	target_name(target, "parent/", name);
	return !faccessat(sink->images_fd, name, R_OK, 0);
}

/* The pages go by reference from the socket to the pipe, and from the pipe to /dev/null. */
static int throw_away(struct page_sink *sink, uint64_t bytes)
{
	while (bytes) {
		ssize_t n = splice(sink->fd, NULL, sink->pipe[1], NULL,
				   bytes < PIPE_BYTES ? bytes : PIPE_BYTES, SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(sink, "CRIU hung up");
		bytes -= n;
		while (n > 0) {
			ssize_t gone = splice(sink->pipe[0], NULL, sink->null_fd, NULL, n,
					      SPLICE_F_MOVE);

			if (gone <= 0)
				return error_errno(&sink->err, CODE_INTERNAL, NULL,
						   "cannot throw pages away");
			n -= gone;
		}
	}
	return 0;
}

static int keep(struct page_sink *sink, uint64_t bytes)
{
	while (bytes) {
		size_t part = bytes < BUFFER_BYTES ? bytes : BUFFER_BYTES;

		if (read_all(sink, sink->buffer, part) <= 0)
			return fail(sink, "CRIU hung up");
		if (io_write_all(sink->pages_fd, sink->buffer, part))
			return error_errno(&sink->err, CODE_CRIU, NULL,
					   "cannot write the pages of %s", sink->name);
		bytes -= part;
	}
	return 0;
}

static int add(struct page_sink *sink, const struct command *command)
{
	uint64_t bytes = command->flags & PAGEMAP_PRESENT ? command->nr_pages * PAGE_BYTES : 0;

	if (!sink->target || command->target != sink->target)
		return fail(sink, "pages of an object that was not opened");
	if (command->nr_pages > USER_END / PAGE_BYTES ||
	    command->addr > USER_END - command->nr_pages * PAGE_BYTES)
		return fail(sink, "pages beyond user space");
	if (sink->throws) {
		sink->thrown += bytes / PAGE_BYTES;
		return throw_away(sink, bytes);
	}
	pagemap_put(&sink->map, command->addr, command->nr_pages, command->flags);
	return keep(sink, bytes);
}

static int obey(struct page_sink *sink, struct command *command)
{
	const int32_t done = 0;
	int32_t known;
	uint8_t byte;

	switch (command->id) {
	case COMMAND_ADD:
		command->flags = PAGEMAP_PRESENT;
		return add(sink, command);
	case COMMAND_HOLE:
		command->flags = PAGEMAP_PARENT;
		return add(sink, command);
	case COMMAND_ADD_FLAGS:
		return add(sink, command);
	case COMMAND_OPEN:
		return begin(sink, command);
	case COMMAND_OPEN2:
		if (begin(sink, command))
			return -1;
		/* of pages that are thrown away CRIU need not send those that it knows to be clean */
		byte = sink->throws || has_parent(sink, command->target);
		return answer(sink, &byte, 1);
	case COMMAND_PARENT:
		known = has_parent(sink, command->target);
		return answer(sink, &known, sizeof(known));
	case COMMAND_CLOSE:
	case COMMAND_FORCE_CLOSE:
		sink->closed = !store(sink);
		return sink->closed ? answer(sink, &done, sizeof(done)) : -1;
	default:
		return fail(sink, "an unknown command");
	}
}

static void *sink_body(void *arg)
{
	struct page_sink *sink = arg;
	struct command command;
	int ret = 1;

	while (ret > 0 && !sink->closed) {
		ret = read_command(sink, &command);
		if (ret > 0 && obey(sink, &command))
			ret = -1;
	}
	/* without answers CRIU's dump fails; after a failure of CRIU nobody reads */
	if (ret < 0)
		shutdown(sink->fd, SHUT_RDWR);
	return NULL;
}

static void sink_free(struct page_sink *sink)
{
	int *fds[] = { &sink->null_fd, &sink->pipe[0], &sink->pipe[1], &sink->pages_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	image_out_free(&sink->map);
	free(sink->buffer);
	sink->buffer = NULL;
}

int page_sink_start(struct page_sink *sink, int fd, int images_fd, struct criu_dump_shm *shm,
		    struct error *err)
{
	int ret = 0;

	*sink = (struct page_sink){
		.fd = fd, .images_fd = images_fd, .shm = shm, .pages_fd = -1, .null_fd = -1,
		.pipe = { -1, -1 },
	};
	sink->buffer = malloc(BUFFER_BYTES);
	sink->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (!sink->buffer || sink->null_fd < 0 || pipe2(sink->pipe, O_CLOEXEC))
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot take CRIU's pages");
	/* a smaller one is slower, no more */
	if (!ret)
		fcntl(sink->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	if (!ret)
		ret = thread_start(&sink->thread, sink_body, sink, err);
	sink->runs = !ret;
	if (ret)
		sink_free(sink);
	return ret;
}

int page_sink_end(struct page_sink *sink, struct error *err)
{
	if (!sink->runs)
		return 0;
	sink->runs = false;
	/* a CRIU that is held has closed its end, or never used it */
	if (!sink->closed)
		shutdown(sink->fd, SHUT_RD);
	pthread_join(sink->thread, NULL);
	sink_free(sink);
	if (error_is_set(&sink->err)) {
		*err = sink->err;
		return -1;
	}
	return sink->closed ? 0 :
	       error_set(err, CODE_CRIU, NULL, "CRIU did not send the pages of shared memory");
}
