/* SPDX-License-Identifier: GPL-2.0 */
/* CRIU's end of a connection to a page server, for the tests of these. */
#ifndef MIGRATE_TESTS_FAKE_DUMP_H
#define MIGRATE_TESTS_FAKE_DUMP_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>
#include "base/page.h"

#define PAGES_OF(pid)	((uint64_t)(pid) << 8 | 1)
#define SHM(id)		((uint64_t)(id) << 8 | 2)
#define ANSWER_MS	30000

#define CMD_ADD		1
#define CMD_HOLE	2
#define CMD_OPEN	3
#define CMD_OPEN2	4
#define CMD_PARENT	5
#define CMD_ADD_FLAGS	6
#define CMD_GET		7
#define CMD_COMPRESSED	8
#define CMD_CLOSE	0x1023
#define CMD_FORCE_CLOSE	0x1024

/** struct fake_dump - @wide: in the form of CRIU 4.2 and later */
struct fake_dump {
	int fd;
	bool wide;
};

static inline void say(struct fake_dump *sender, uint32_t id, uint32_t flags, uint64_t page,
		       uint64_t nr, uint64_t target)
{
	struct {
		uint32_t cmd, nr_pages;
		uint64_t addr, target;
	} narrow = { flags << 16 | id, nr, page * PAGE_BYTES, target };
	struct {
		uint32_t cmd, pad;
		uint64_t nr_pages, addr, target;
	} wide = { flags << 16 | id, 0, nr, page * PAGE_BYTES, target };

	if (sender->wide)
		assert_int_equal(send(sender->fd, &wide, sizeof(wide), MSG_NOSIGNAL), sizeof(wide));
	else
		assert_int_equal(send(sender->fd, &narrow, sizeof(narrow), MSG_NOSIGNAL),
				 sizeof(narrow));
}

static inline void say_page(struct fake_dump *sender, uint8_t byte)
{
	uint8_t page[PAGE_BYTES];

	memset(page, byte, sizeof(page));
	assert_int_equal(send(sender->fd, page, sizeof(page), MSG_NOSIGNAL), sizeof(page));
}

static inline void wait_for_answer(struct fake_dump *sender)
{
	struct pollfd pfd = { .fd = sender->fd, .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, ANSWER_MS), 1);
}

static inline void expect(struct fake_dump *sender, const void *bytes, size_t nr)
{
	uint8_t got[8];

	wait_for_answer(sender);
	assert_int_equal(recv(sender->fd, got, nr, MSG_WAITALL), nr);
	assert_memory_equal(got, bytes, nr);
}

/* The other end says nothing more, and has closed the connection. */
static inline void expect_end(struct fake_dump *sender)
{
	uint8_t byte;

	wait_for_answer(sender);
	assert_true(recv(sender->fd, &byte, 1, 0) <= 0);
}

#endif
