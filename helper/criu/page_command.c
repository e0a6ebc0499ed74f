// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "criu/page_command.h"
#include "criu/pagemap.h"

#define PIPE_BYTES	(1 << 20)
#define ID_SHIFT	8
#define KIND_MASK	0xffU

/* Return: 1; 0 at the end of the stream before the first byte; -1 with errno */
static int recv_all(int fd, uint8_t *to, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = recv(fd, to + done, bytes - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (!n && done)
			errno = ECONNRESET;
		if (!n)
			return done ? -1 : 0;
		done += n;
	}
	return 1;
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

static bool is_close(uint32_t id)
{
	return id == PAGE_COMMAND_CLOSE || id == PAGE_COMMAND_FORCE_CLOSE;
}

/* The first command: read what both forms have, and the rest of the wide form. */
static int learn_form(int fd, uint8_t *raw, size_t *bytes)
{
	size_t rest = PAGE_COMMAND_WIDE - PAGE_COMMAND_NARROW;
	int ret;

	if (get64(raw + 16)) {
		*bytes = PAGE_COMMAND_NARROW;
		return 1;
	}
	/* the sender of a narrow CLOSE sends no more, and waits for the answer */
	if (is_close(get32(raw) & 0xffff))
		return 1;
	*bytes = PAGE_COMMAND_WIDE;
	ret = recv_all(fd, raw + PAGE_COMMAND_NARROW, rest);
	if (!ret)
		errno = ECONNRESET;
	return ret > 0 ? 1 : -1;
}

int page_command_read(int fd, size_t *bytes, struct page_command *command)
{
	uint8_t raw[PAGE_COMMAND_WIDE] = { 0 };
	int ret = recv_all(fd, raw, *bytes ? *bytes : PAGE_COMMAND_NARROW);

	if (ret > 0 && !*bytes)
		ret = learn_form(fd, raw, bytes);
	if (ret <= 0)
		return ret;
	command->id = get32(raw) & 0xffff;
	command->flags = get32(raw) >> 16;
	if (*bytes == PAGE_COMMAND_WIDE) {
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

/*
 * CRIU once sent the number that an image's kind had in its own table, which changed with each
 * version: 17 (1.0), 16 (1.2), 11 (1.3 to 3.0) and 10 (3.1) for a process; 33, 32, 27, 28, 29, 32, 34, 33 for
 * shared memory.
 */
static unsigned int target_kind(uint64_t target)
{
	switch (target & KIND_MASK) {
	case PAGE_TARGET_PROCESS:
	case 10: case 11: case 16: case 17:
		return PAGE_TARGET_PROCESS;
	case PAGE_TARGET_SHM:
	case 27: case 28: case 29: case 32: case 33: case 34:
		return PAGE_TARGET_SHM;
	default:
		return 0;
	}
}

void page_command_plain(struct page_command *command)
{
	if (target_kind(command->target))
		command->target = (command->target & ~(uint64_t)KIND_MASK) |
				  target_kind(command->target);
	if (command->id == PAGE_COMMAND_ADD)
		command->flags = PAGEMAP_PRESENT;
	else if (command->id == PAGE_COMMAND_HOLE)
		command->flags = PAGEMAP_PARENT;
	else
		return;
	command->id = PAGE_COMMAND_ADD_FLAGS;
}

bool page_target_is_known(uint64_t target)
{
	return target_kind(target);
}

void page_target_name(uint64_t target, const char *dir, char name[IMAGE_NAME_MAX])
{
	snprintf(name, IMAGE_NAME_MAX, "%spagemap-%s%" PRIu64 ".img", dir,
		 target_kind(target) == PAGE_TARGET_SHM ? "shmem-" : "", target >> ID_SHIFT);
}

static int drain_pipe(const int pipe[2], int to, size_t bytes)
{
	while (bytes) {
		ssize_t n = splice(pipe[0], NULL, to, NULL, bytes, SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			errno = EIO;
		if (n <= 0)
			return -1;
		bytes -= n;
	}
	return 0;
}

int page_command_payload(int fd, const int pipe[2], int to, uint64_t bytes, bool *lost)
{
	*lost = false;
	while (bytes) {
		ssize_t n = splice(fd, NULL, pipe[1], NULL, bytes < PIPE_BYTES ? bytes : PIPE_BYTES,
				   SPLICE_F_MOVE);

		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			errno = ECONNRESET;
		if (n <= 0) {
			*lost = true;
			return -1;
		}
		if (drain_pipe(pipe, to, n))
			return -1;
		bytes -= n;
	}
	return 0;
}

int page_command_pipe(int pipe[2])
{
	if (pipe2(pipe, O_CLOEXEC)) {
		pipe[0] = -1;
		pipe[1] = -1;
		return -1;
	}
	/* a smaller one is slower, no more */
	fcntl(pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}
