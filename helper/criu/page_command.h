/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands that a dump of CRIU sends to a page server. The protocol has no handshake and no version.
 *
 * A command has 24 bytes up to CRIU 4.1, and 32 bytes from CRIU 4.2 on. Its target is the object of
 * whose pages it speaks: an id, and whether that is a process or shared memory. The target tells the two
 * forms apart: each command but CLOSE has one, and the first command of a connection has no address.
 */
#ifndef MIGRATE_CRIU_PAGE_COMMAND_H
#define MIGRATE_CRIU_PAGE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "criu/image.h"
#include "criu/page_stream.h"

#define PAGE_COMMAND_NARROW	24	/* u32 command, u32 pages, u64 address, u64 target */
#define PAGE_COMMAND_WIDE	32	/* u32 command, u32 padding, u64 pages, u64 address, u64 target */

#define PAGE_TARGET_PROCESS	1
#define PAGE_TARGET_SHM		2

enum page_command_id {
	PAGE_COMMAND_ADD = 1,
	PAGE_COMMAND_HOLE,
	PAGE_COMMAND_OPEN,
	PAGE_COMMAND_OPEN2,
	PAGE_COMMAND_PARENT,
	PAGE_COMMAND_ADD_FLAGS,
	PAGE_COMMAND_GET,
	PAGE_COMMAND_ADD_COMPRESSED,
	PAGE_COMMAND_CLOSE = 0x1023,
	PAGE_COMMAND_FORCE_CLOSE,
};

/** struct page_command - @id: enum page_command_id, or any other number; @flags: PAGEMAP_* */
struct page_command {
	uint32_t id, flags;
	uint64_t nr_pages, addr, target;
};

/**
 * page_command_read() - wait for the next command
 * @bytes: length of a command, PAGE_COMMAND_NARROW or PAGE_COMMAND_WIDE. 0 before the first command, which
 *	sets it. A CLOSE as first command leaves 0, and may leave bytes of itself unread
 * Return: 1; 0 when the sender has closed the connection between two commands; -1 with errno
 */
int page_command_read(const struct page_stream *stream, size_t *bytes,
		      struct page_command *command);

/**
 * page_command_write() - say a command, as a dump does
 * @bytes: PAGE_COMMAND_NARROW, whose entries have less than 2^32 pages, or PAGE_COMMAND_WIDE
 * @more: its pages follow
 * Return: 0; -1 with errno
 */
int page_command_write(const struct page_stream *stream, size_t bytes,
		       const struct page_command *command, bool more);

/** page_command_get() - turn the @bytes of a command, of either form, into @command */
void page_command_get(const uint8_t *raw, size_t bytes, struct page_command *command);

/** page_command_put() - write @command as @bytes: PAGE_COMMAND_NARROW, whose pages are a u32, or PAGE_COMMAND_WIDE */
size_t page_command_put(uint8_t *raw, size_t bytes, const struct page_command *command);

/**
 * page_command_plain() - what the command asks, as an ADD_FLAGS or another command that has no older form
 *
 * ADD and HOLE are the older forms of ADD_FLAGS, and an ADD_COMPRESSED that no page follows is one. The function also
 * turns a target as CRIU 1.0 to 3.2 wrote it into today's form.
 */
void page_command_plain(struct page_command *command);

/** page_target_is_known() - whether @target names a process or shared memory */
bool page_target_is_known(uint64_t target);

/** page_target_name() - path of the pagemap image of @target in the directory @dir ("" or "parent/") */
void page_target_name(uint64_t target, const char *dir, char name[IMAGE_NAME_MAX]);

#endif
