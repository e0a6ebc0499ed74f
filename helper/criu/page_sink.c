// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/thread.h"
#include "criu/page_command.h"
#include "criu/page_sink.h"
#include "criu/pagemap.h"

static int fail(struct page_sink *sink, const char *what)
{
	return error_set(&sink->err, CODE_CRIU, "the installed CRIU may be too new",
			 "CRIU's page connection: %s", what);
}

static int answer(struct page_sink *sink, const void *from, size_t bytes)
{
	return send(sink->stream.fd, from, bytes, MSG_NOSIGNAL) == (ssize_t)bytes ? 0 :
	       fail(sink, "CRIU hung up");
}

static bool is_shm(uint64_t target)
{
	return (target & 0xff) == PAGE_TARGET_SHM;
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

/* Is it one of those whose pages come in frames? */
static struct criu_shm_id *find_thrown(const struct page_sink *sink, uint64_t target)
{
	for (size_t i = 0; is_shm(target) && i < sink->shm->nr; i++)
		if (sink->shm->objects[i].shmid == target >> 8)
			return &sink->shm->objects[i];
	return NULL;
}

static bool has_image(const struct page_sink *sink, uint64_t target, const char *prefix)
{
	char name[IMAGE_NAME_MAX];

	page_target_name(target, prefix, name);
	return !faccessat(sink->images_fd, name, R_OK, 0);
}

/*
 * CRIU opens each object once. The id of a System V segment and the number of a memfd may be the same, and both have
 * one name for CRIU: the pages of the second object would be thrown away, or take the place of the first one's.
 */
static int check_single(struct page_sink *sink, uint64_t target, const struct criu_shm_id *thrown)
{
	if (!is_shm(target) || !(thrown ? thrown->dumped : has_image(sink, target, "")))
		return 0;
	return error_set(&sink->err, CODE_REFUSED, "let it make the segment anew, or remove it (ipcrm)",
			 "the program has System V memory with the id %u and other shared memory of that number, which CRIU takes for one",
			 (unsigned int)(target >> 8));
}

static int begin(struct page_sink *sink, const struct page_command *command)
{
	struct criu_shm_id *thrown = find_thrown(sink, command->target);
	char name[IMAGE_NAME_MAX];

	if (store(sink) || check_single(sink, command->target, thrown))
		return -1;
	/* CRIU writes the first page when it has stopped all tasks */
	if (sink->shm->stands && !sink->told)
		sink->shm->stands(sink->shm->ctx);
	sink->told = true;
	if (!page_target_is_known(command->target))
		return fail(sink, "pages of an unknown kind");
	sink->target = command->target;
	sink->throws = thrown;
	if (thrown) {
		thrown->dumped = true;
		return 0;
	}
	page_target_name(command->target, "", sink->name);
	snprintf(name, sizeof(name), "pages-%u.img", ++sink->images);
	sink->pages_fd = openat(sink->images_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (sink->pages_fd < 0)
		return error_errno(&sink->err, CODE_CRIU, NULL, "cannot make the image %s", name);
	image_out_init(&sink->map, IMAGE_PAGEMAP);
	pagemap_put_head(&sink->map, sink->images);
	return 0;
}

/* Pages that are thrown away go by reference from the socket to the pipe, and from there to /dev/null. */
static int take(struct page_sink *sink, const struct page_command *command, int to)
{
	if (!(command->flags & PAGEMAP_PRESENT))
		return 0;
	switch (page_payload_take(&sink->payload, &sink->stream, command, to)) {
	case PAGE_TAKEN:
		return 0;
	case PAGE_TAKEN_LOST:
		return fail(sink, "CRIU hung up");
	case PAGE_TAKEN_DAMAGED:
		return fail(sink, "a compressed page is damaged");
	default:
		return error_errno(&sink->err, CODE_CRIU, NULL, "cannot write the pages of %s",
				   sink->throws ? "shared memory to /dev/null" : sink->name);
	}
}

static int add(struct page_sink *sink, const struct page_command *command)
{
	if (!sink->target || command->target != sink->target)
		return fail(sink, "pages of an object that was not opened");
	if (command->nr_pages > USER_END / PAGE_BYTES ||
	    command->addr > USER_END - command->nr_pages * PAGE_BYTES)
		return fail(sink, "pages beyond user space");
	if (sink->throws) {
		sink->thrown += command->flags & PAGEMAP_PRESENT ? command->nr_pages : 0;
		return take(sink, command, sink->null_fd);
	}
	pagemap_put(&sink->map, command->addr, command->nr_pages, command->flags);
	return take(sink, command, sink->pages_fd);
}

static int obey(struct page_sink *sink, struct page_command *command)
{
	const int32_t done = 0;
	int32_t known;
	uint8_t byte;

	page_command_plain(command);
	switch (command->id) {
	case PAGE_COMMAND_ADD_FLAGS:
	case PAGE_COMMAND_ADD_COMPRESSED:
		return add(sink, command);
	case PAGE_COMMAND_OPEN:
		return begin(sink, command);
	case PAGE_COMMAND_OPEN2:
		if (begin(sink, command))
			return -1;
		/* of pages that are thrown away CRIU need not send those that it knows to be clean */
		byte = sink->throws || has_image(sink, command->target, "parent/");
		return answer(sink, &byte, 1);
	case PAGE_COMMAND_PARENT:
		known = has_image(sink, command->target, "parent/");
		return answer(sink, &known, sizeof(known));
	case PAGE_COMMAND_CLOSE:
	case PAGE_COMMAND_FORCE_CLOSE:
		sink->closed = !store(sink);
		return sink->closed ? answer(sink, &done, sizeof(done)) : -1;
	default:
		return fail(sink, "an unknown command");
	}
}

static void *sink_body(void *arg)
{
	struct page_sink *sink = arg;
	struct page_command command;
	int ret = 1;

	while (ret > 0 && !sink->closed) {
		ret = page_command_read(&sink->stream, &sink->header, &command);
		if (ret < 0)
			fail(sink, "CRIU hung up");
		if (ret > 0 && obey(sink, &command))
			ret = -1;
	}
	/* without answers CRIU's dump fails; after a failure of CRIU nobody reads */
	if (ret < 0)
		shutdown(sink->stream.fd, SHUT_RDWR);
	return NULL;
}

static void sink_free(struct page_sink *sink)
{
	int *fds[] = { &sink->null_fd, &sink->pages_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	page_payload_free(&sink->payload);
	image_out_free(&sink->map);
}

int page_sink_start(struct page_sink *sink, int fd, int images_fd, struct criu_dump_shm *shm,
		    struct error *err)
{
	int ret = 0;

	*sink = (struct page_sink){
		.stream.fd = fd, .images_fd = images_fd, .shm = shm, .pages_fd = -1, .null_fd = -1,
		.payload = PAGE_PAYLOAD_NONE,
	};
	sink->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (sink->null_fd < 0 || page_payload_init(&sink->payload))
		ret = error_errno(err, CODE_INTERNAL, NULL, "cannot take CRIU's pages");
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
		shutdown(sink->stream.fd, SHUT_RD);
	pthread_join(sink->thread, NULL);
	sink_free(sink);
	if (error_is_set(&sink->err)) {
		*err = sink->err;
		return -1;
	}
	return sink->closed ? 0 :
	       error_set(err, CODE_CRIU, NULL, "CRIU did not send the pages of shared memory");
}
