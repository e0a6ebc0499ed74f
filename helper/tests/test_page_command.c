// SPDX-License-Identifier: GPL-2.0
/* Commands to a page server: both lengths, older forms, and a stream that ends anywhere. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "criu/page_command.h"
#include "criu/pagemap.h"
#include "tests/criu_images.h"
#include "tests/fake_dump.h"

struct bench {
	struct fake_dump sender;
	struct page_stream stream;
	size_t bytes;
	struct page_command command;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	bench->sender.fd = pair[0];
	bench->stream.fd = pair[1];
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	close(bench->sender.fd);
	close(bench->stream.fd);
	free(bench);
	return 0;
}

static void hear(struct bench *bench, uint32_t id, uint64_t nr_pages, uint64_t page,
		 uint64_t target)
{
	assert_int_equal(page_command_read(&bench->stream, &bench->bytes, &bench->command), 1);
	assert_int_equal(bench->command.id, id);
	assert_int_equal(bench->command.nr_pages, nr_pages);
	assert_int_equal(bench->command.addr, page * PAGE_BYTES);
	assert_int_equal(bench->command.target, target);
}

static void hear_both(struct bench *bench, size_t bytes)
{
	say(&bench->sender, CMD_OPEN2, 0, 0, 0, PAGES_OF(7));
	hear(bench, PAGE_COMMAND_OPEN2, 0, 0, PAGES_OF(7));
	assert_int_equal(bench->bytes, bytes);
	say(&bench->sender, CMD_ADD_FLAGS, PAGEMAP_LAZY, 5, 6, PAGES_OF(7));
	hear(bench, PAGE_COMMAND_ADD_FLAGS, 6, 5, PAGES_OF(7));
	assert_int_equal(bench->command.flags, PAGEMAP_LAZY);
	say(&bench->sender, CMD_CLOSE, 0, 0, 0, 0);
	hear(bench, PAGE_COMMAND_CLOSE, 0, 0, 0);
	close(bench->sender.fd);
	assert_int_equal(page_command_read(&bench->stream, &bench->bytes, &bench->command), 0);
}

static void command_test_narrow(void **state)
{
	hear_both(*state, PAGE_COMMAND_NARROW);
}

static void command_test_wide(void **state)
{
	struct bench *bench = *state;

	bench->sender.wide = true;
	hear_both(bench, PAGE_COMMAND_WIDE);
}

/* A dump that has no pages: the sender of the narrow form waits for the answer. */
static void command_test_close_first(void **state)
{
	struct bench *bench = *state;

	say(&bench->sender, CMD_FORCE_CLOSE, 0, 0, 0, 0);
	hear(bench, PAGE_COMMAND_FORCE_CLOSE, 0, 0, 0);
	assert_int_equal(bench->bytes, 0);
}

static void command_test_cut(void **state)
{
	struct bench *bench = *state;
	const uint8_t part[PAGE_COMMAND_WIDE - 1] = { CMD_OPEN2 };

	/* 24 bytes without a target: a part of the wide form */
	assert_int_equal(send(bench->sender.fd, part, sizeof(part), 0), sizeof(part));
	close(bench->sender.fd);
	assert_int_equal(page_command_read(&bench->stream, &bench->bytes, &bench->command), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void command_test_old_forms(void **state)
{
	struct page_command command = { .id = CMD_ADD, .target = 9 << 8 | 11 };
	char name[IMAGE_NAME_MAX];

	page_command_plain(&command);
	assert_int_equal(command.id, PAGE_COMMAND_ADD_FLAGS);
	assert_int_equal(command.flags, PAGEMAP_PRESENT);
	assert_int_equal(command.target, PAGES_OF(9));
	command = (struct page_command){ .id = CMD_HOLE, .target = 9 << 8 | 34 };
	page_command_plain(&command);
	assert_int_equal(command.flags, PAGEMAP_PARENT);
	page_target_name(command.target, "parent/", name);
	assert_string_equal(name, "parent/pagemap-shmem-9.img");
	assert_false(page_target_is_known(9 << 8 | 3));
	command = (struct page_command){ .id = CMD_ADD_FLAGS, .flags = 7, .target = 9 << 8 | 3 };
	page_command_plain(&command);
	assert_int_equal(command.flags, 7);
	assert_int_equal(command.target, 9 << 8 | 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(command_test_narrow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(command_test_wide, set_up, tear_down),
		cmocka_unit_test_setup_teardown(command_test_close_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(command_test_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(command_test_old_forms, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
