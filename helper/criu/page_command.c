// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "criu/page_command.h"
#include "criu/pagemap.h"

#define ID_SHIFT	8
#define KIND_MASK	0xffU

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
static int learn_form(const struct page_stream *stream, uint8_t *raw, size_t *bytes)
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
	ret = page_stream_read(stream, raw + PAGE_COMMAND_NARROW, rest);
	if (!ret)
		errno = ECONNRESET;
	return ret > 0 ? 1 : -1;
}

void page_command_get(const uint8_t *raw, size_t bytes, struct page_command *command)
{
	command->id = get32(raw) & 0xffff;
	command->flags = get32(raw) >> 16;
	if (bytes == PAGE_COMMAND_WIDE) {
		command->nr_pages = get64(raw + 8);
		command->addr = get64(raw + 16);
		command->target = get64(raw + 24);
	} else {
		command->nr_pages = get32(raw + 4);
		command->addr = get64(raw + 8);
		command->target = get64(raw + 16);
	}
}

size_t page_command_put(uint8_t *raw, size_t bytes, const struct page_command *command)
{
	uint32_t word = command->flags << 16 | command->id, narrow = command->nr_pages;

	memset(raw, 0, bytes);
	memcpy(raw, &word, sizeof(word));
	if (bytes == PAGE_COMMAND_WIDE)
		memcpy(raw + 8, &command->nr_pages, 8);
	else
		memcpy(raw + 4, &narrow, sizeof(narrow));
	memcpy(raw + bytes - 16, &command->addr, 8);
	memcpy(raw + bytes - 8, &command->target, 8);
	return bytes;
}

int page_command_read(const struct page_stream *stream, size_t *bytes,
		      struct page_command *command)
{
	uint8_t raw[PAGE_COMMAND_WIDE] = { 0 };
	int ret = page_stream_read(stream, raw, *bytes ? *bytes : PAGE_COMMAND_NARROW);

	if (ret > 0 && !*bytes)
		ret = learn_form(stream, raw, bytes);
	if (ret <= 0)
		return ret;
	page_command_get(raw, *bytes, command);
	return 1;
}

int page_command_write(const struct page_stream *stream, size_t bytes,
		       const struct page_command *command, bool more)
{
	uint8_t raw[PAGE_COMMAND_WIDE];

	page_command_put(raw, bytes, command);
	return page_stream_write(stream, raw, bytes, more);
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
	else if (command->id != PAGE_COMMAND_ADD_COMPRESSED || (command->flags & PAGEMAP_PRESENT))
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
