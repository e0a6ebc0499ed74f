// SPDX-License-Identifier: GPL-2.0
/* Pages behind a command: plain ones, compressed ones of CRIU 4.3, and those that are none. */
#define _GNU_SOURCE
#include <lz4.h>
#include <unistd.h>
#include "criu/page_payload.h"
#include "tests/criu_images.h"
#include "tests/fake_dump.h"

/** struct bench - @out: the file "pages"; @sender: the other end */
struct bench {
	struct fake_dump sender;
	struct page_stream stream;
	struct page_payload payload;
	struct test_dir dir;
	int out;
};

/* The form of a compressed page, held by its bytes: a page of "migrate migrate ...". */
static const uint8_t held[] = {
	0x21, 0, 0, 0,
	0x8f, 'm', 'i', 'g', 'r', 'a', 't', 'e', ' ', 0x08, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0x50, 'r', 'a', 't', 'e', ' ',
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	dir_make(&bench->dir);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	bench->sender.fd = pair[0];
	bench->stream.fd = pair[1];
	bench->out = openat(bench->dir.fd, "pages", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return page_payload_init(&bench->payload);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	page_payload_free(&bench->payload);
	page_payload_free(&bench->payload);
	close(bench->sender.fd);
	close(bench->stream.fd);
	close(bench->out);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

static enum page_taken take(struct bench *bench, uint32_t id, uint64_t nr, int to)
{
	const struct page_command command = { .id = id, .nr_pages = nr };

	return page_payload_take(&bench->payload, &bench->stream, &command, to);
}

static void say_bytes(struct bench *bench, const void *bytes, size_t nr)
{
	assert_int_equal(send(bench->sender.fd, bytes, nr, MSG_NOSIGNAL), nr);
}

static void say_length(struct bench *bench, uint32_t bytes)
{
	say_bytes(bench, &bytes, sizeof(bytes));
}

static void say_packed(struct bench *bench, const uint8_t *page)
{
	char block[LZ4_COMPRESSBOUND(PAGE_BYTES)];
	int bytes = LZ4_compress_fast((const char *)page, block, PAGE_BYTES, sizeof(block), 1);

	assert_in_range(bytes, 1, PAGE_BYTES - 1);
	say_length(bench, bytes);
	say_bytes(bench, block, bytes);
}

static void payload_test_plain(void **state)
{
	struct bench *bench = *state;
	uint8_t got[3 * PAGE_BYTES];
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	say_page(&bench->sender, 'a');
	say_page(&bench->sender, 'b');
	assert_int_equal(take(bench, PAGE_COMMAND_ADD_FLAGS, 2, bench->out), PAGE_TAKEN);
	assert_int_equal(file_read(bench->dir.fd, "pages", got, sizeof(got)), 2 * PAGE_BYTES);
	assert_int_equal(got[0], 'a');
	assert_int_equal(got[PAGE_BYTES], 'b');
	say_page(&bench->sender, 'c');
	assert_int_equal(take(bench, PAGE_COMMAND_ADD_FLAGS, 1, full), PAGE_TAKEN_UNWRITTEN);
	shutdown(bench->sender.fd, SHUT_WR);
	assert_int_equal(take(bench, PAGE_COMMAND_ADD_FLAGS, 1, bench->out), PAGE_TAKEN_LOST);
	close(full);
}

static void payload_test_packed(void **state)
{
	struct bench *bench = *state;
	uint8_t page[PAGE_BYTES], got[5 * PAGE_BYTES];

	say_bytes(bench, held, sizeof(held));
	say_length(bench, 0);
	say_length(bench, PAGE_BYTES);
	say_page(&bench->sender, 'r');
	for (size_t i = 0; i < PAGE_BYTES; i++)
		page[i] = i / 16;
	say_packed(bench, page);
	assert_int_equal(take(bench, PAGE_COMMAND_ADD_COMPRESSED, 4, bench->out), PAGE_TAKEN);
	assert_int_equal(file_read(bench->dir.fd, "pages", got, sizeof(got)), 4 * PAGE_BYTES);
	for (size_t i = 0; i < PAGE_BYTES; i++) {
		assert_int_equal(got[i], "migrate "[i % 8]);
		assert_int_equal(got[PAGE_BYTES + i], 0);
		assert_int_equal(got[2 * PAGE_BYTES + i], 'r');
		assert_int_equal(got[3 * PAGE_BYTES + i], page[i]);
	}
}

/* More pages than are written at a time; and a file that is full */
static void payload_test_packed_many(void **state)
{
	struct bench *bench = *state;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct stat st;

	for (int i = 0; i < 131; i++)
		say_bytes(bench, held, sizeof(held));
	assert_int_equal(take(bench, PAGE_COMMAND_ADD_COMPRESSED, 130, bench->out), PAGE_TAKEN);
	assert_int_equal(fstat(bench->out, &st), 0);
	assert_int_equal(st.st_size, 130 * PAGE_BYTES);
	assert_int_equal(take(bench, PAGE_COMMAND_ADD_COMPRESSED, 1, full), PAGE_TAKEN_UNWRITTEN);
	close(full);
}

static void payload_test_damaged(void **state)
{
	static const struct {
		uint32_t length;
		const char *bytes;
		size_t nr;
	} bad[] = {
		{ PAGE_BYTES + 1, "", 0 }, { UINT32_MAX, "", 0 },
		/* a block of one byte; one that goes back before its begin; one that ends early */
		{ 2, "\20x", 2 }, { 4, "\20x\377\377", 4 }, { 3, "\360\377\377", 3 },
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		say_length(bench, bad[i].length);
		if (bad[i].nr)
			say_bytes(bench, bad[i].bytes, bad[i].nr);
		assert_int_equal(take(bench, PAGE_COMMAND_ADD_COMPRESSED, 1, bench->out),
				 PAGE_TAKEN_DAMAGED);
	}
}

static void payload_test_packed_cut(void **state)
{
	struct bench *bench = *state;

	say_bytes(bench, held, sizeof(held) - 1);
	shutdown(bench->sender.fd, SHUT_WR);
	assert_int_equal(take(bench, PAGE_COMMAND_ADD_COMPRESSED, 1, bench->out), PAGE_TAKEN_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(payload_test_plain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(payload_test_packed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(payload_test_packed_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(payload_test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(payload_test_packed_cut, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
