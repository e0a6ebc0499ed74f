// SPDX-License-Identifier: GPL-2.0
/* A connection to the page server: what becomes images, what is refused, and what is no end. */
#define _GNU_SOURCE
#include <sys/stat.h>
#include "services/page_receiver.h"
#include "tests/criu_images.h"
#include "tests/fake_dump.h"

#define PID	TEST_PID

struct bench {
	struct test_dir base;
	int fd;
	struct image_dir dir;
	struct page_receiver receiver;
	struct fake_dump criu;
	struct error err;
};

static void connect_bench(struct bench *bench)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	bench->criu.fd = pair[0];
	page_receiver_init(&bench->receiver, pair[1], &bench->dir);
	assert_int_equal(page_receiver_start(&bench->receiver, &bench->err), 0);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	char path[64];

	*state = bench;
	dir_make(&bench->base);
	assert_int_equal(mkdirat(bench->base.fd, "images", 0700), 0);
	assert_int_equal(mkdirat(bench->base.fd, "before", 0700), 0);
	snprintf(path, sizeof(path), "%s/images", bench->base.path);
	bench->fd = open(path, O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(image_dir_open(&bench->dir, path, "../before", &bench->err), 0);
	connect_bench(bench);
	return 0;
}

/* CRIU has hung up; the connection has ended. */
static void hang_up(struct bench *bench)
{
	if (bench->criu.fd < 0)
		return;
	close(bench->criu.fd);
	bench->criu.fd = -1;
	page_receiver_join(&bench->receiver);
	page_receiver_free(&bench->receiver);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	hang_up(bench);
	image_dir_close(&bench->dir);
	close(bench->fd);
	dir_remove(&bench->base);
	free(bench);
	return 0;
}

static bool is_there(struct bench *bench, const char *name)
{
	return !faccessat(bench->fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* No image, and no part of one */
static void expect_nothing(struct bench *bench)
{
	DIR *stream = fdopendir(dup(bench->fd));
	struct dirent *entry;

	rewinddir(stream);
	while ((entry = readdir(stream)))
		assert_null(strstr(entry->d_name, ".img"));
	closedir(stream);
}

static void expect_refused(struct bench *bench, enum exit_code code, const char *words)
{
	expect_end(&bench->criu);
	hang_up(bench);
	assert_false(bench->receiver.closed);
	assert_int_equal(bench->receiver.err.code, code);
	assert_non_null(strstr(bench->receiver.err.what, words));
	expect_nothing(bench);
}

static void open_task(struct bench *bench, const char *has_parent)
{
	say(&bench->criu, CMD_OPEN2, 0, 0, 0, PAGES_OF(PID));
	expect(&bench->criu, has_parent, 1);
}

static void say_dump(struct bench *bench)
{
	open_task(bench, "\0");
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_PRESENT, 4, 2, PAGES_OF(PID));
	say_page(&bench->criu, 'a');
	say_page(&bench->criu, 'b');
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_LAZY, 8, 100, PAGES_OF(PID));
	say(&bench->criu, CMD_ADD, 0, 200, 1, PAGES_OF(PID));
	say_page(&bench->criu, 'c');
	say(&bench->criu, CMD_OPEN, 0, 0, 0, SHM(1));
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_PRESENT, 0, 1, SHM(1));
	say_page(&bench->criu, 'd');
	assert_false(is_there(bench, "pagemap-77.img"));
	say(&bench->criu, CMD_CLOSE, 0, 0, 0, 0);
	expect(&bench->criu, "\0\0\0\0", 4);
	/* the answer means that the images are there */
	assert_true(is_there(bench, "pagemap-77.img"));
}

static void check_dump(struct bench *bench)
{
	struct pagemap_entry entries[4];
	uint8_t pages[4 * PAGE_BYTES];

	hang_up(bench);
	assert_true(bench->receiver.closed);
	assert_false(error_is_set(&bench->receiver.err));
	assert_int_equal(bench->receiver.counts.present, 4);
	assert_int_equal(bench->receiver.counts.lazy, 100);
	assert_int_equal(pagemap_list(bench->fd, entries, 4), 3);
	assert_int_equal(entries[0].flags, PAGEMAP_PRESENT);
	assert_int_equal(entries[1].flags, PAGEMAP_LAZY);
	assert_int_equal(entries[1].nr_pages, 100);
	assert_int_equal(entries[2].addr, 200 * PAGE_BYTES);
	assert_int_equal(entries[2].flags, PAGEMAP_PRESENT);
	assert_int_equal(file_read(bench->fd, "pages-65537.img", pages, sizeof(pages)), 3 * PAGE_BYTES);
	assert_int_equal(pages[0], 'a');
	assert_int_equal(pages[PAGE_BYTES], 'b');
	assert_int_equal(pages[2 * PAGE_BYTES], 'c');
	assert_int_equal(file_read(bench->fd, "pages-65538.img", pages, sizeof(pages)), PAGE_BYTES);
	assert_int_equal(pages[0], 'd');
}

static void receiver_test_narrow(void **state)
{
	say_dump(*state);
	check_dump(*state);
}

static void receiver_test_wide(void **state)
{
	struct bench *bench = *state;

	bench->criu.wide = true;
	say_dump(bench);
	check_dump(bench);
}

/* A dump without memory is complete, in either form. */
static void receiver_test_close_alone(void **state)
{
	struct bench *bench = *state;

	for (int i = 0; i < 2; i++) {
		bench->criu.wide = i;
		say(&bench->criu, CMD_CLOSE, 0, 0, 0, 0);
		expect(&bench->criu, "\0\0\0\0", 4);
		hang_up(bench);
		assert_true(bench->receiver.closed);
		connect_bench(bench);
	}
}

/* After FORCE_CLOSE the receiver ends while CRIU's socket is open, and can be used. */
static void receiver_test_force_close(void **state)
{
	static const char next[] = "bytes of the caller";
	struct bench *bench = *state;
	char got[64];

	open_task(bench, "\0");
	say(&bench->criu, CMD_FORCE_CLOSE, 0, 0, 0, 0);
	/* at once: the receiver has not looked for more before this comes */
	assert_int_equal(send(bench->criu.fd, next, sizeof(next), MSG_NOSIGNAL), sizeof(next));
	expect(&bench->criu, "\0\0\0\0", 4);
	page_receiver_join(&bench->receiver);
	assert_true(bench->receiver.closed);
	assert_int_equal(recv(bench->receiver.stream.fd, got, sizeof(got), MSG_DONTWAIT), sizeof(next));
	assert_memory_equal(got, next, sizeof(next));
	page_receiver_free(&bench->receiver);
	close(bench->criu.fd);
	bench->criu.fd = -1;
}

static void receiver_test_no_close(void **state)
{
	struct bench *bench = *state;

	open_task(bench, "\0");
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_PRESENT, 4, 1, PAGES_OF(PID));
	say_page(&bench->criu, 'a');
	hang_up(bench);
	assert_int_equal(bench->receiver.err.code, CODE_NETWORK);
	expect_nothing(bench);
	/* the next connection may write the same object */
	connect_bench(bench);
	say(&bench->criu, CMD_OPEN, 0, 0, 0, PAGES_OF(PID));
	say(&bench->criu, CMD_CLOSE, 0, 0, 0, 0);
	expect(&bench->criu, "\0\0\0\0", 4);
	assert_true(is_there(bench, "pagemap-77.img"));
}

static void receiver_test_cut_in_page(void **state)
{
	struct bench *bench = *state;

	open_task(bench, "\0");
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_PRESENT, 4, 2, PAGES_OF(PID));
	say_page(&bench->criu, 'a');
	hang_up(bench);
	assert_int_equal(bench->receiver.err.code, CODE_NETWORK);
	expect_nothing(bench);
}

static void receiver_test_stopped(void **state)
{
	struct bench *bench = *state;

	open_task(bench, "\0");
	page_receiver_cut(&bench->receiver, PAGE_CUT_STOP);
	expect_refused(bench, CODE_ABORTED, "ended");
}

static void receiver_test_bad_entries(void **state)
{
	static const struct {
		uint64_t page, nr_pages;
		uint32_t flags;
	} bad[] = {
		{ 4, 0, PAGEMAP_PRESENT }, { 3, 1, PAGEMAP_LAZY }, { 4, 1, 0 }, { 4, 1, 8 },
		{ 4, 1, PAGEMAP_PRESENT | PAGEMAP_PARENT }, { USER_END / PAGE_BYTES, 1, PAGEMAP_LAZY },
		{ 5, USER_END / PAGE_BYTES - 4, PAGEMAP_LAZY }, { 5, UINT64_MAX, PAGEMAP_PRESENT },
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		bench->criu.wide = true;
		open_task(bench, "\0");
		say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_LAZY, 3, 1, PAGES_OF(PID));
		say(&bench->criu, CMD_ADD_FLAGS, bad[i].flags, bad[i].page, bad[i].nr_pages,
		    PAGES_OF(PID));
		expect_refused(bench, CODE_PEER, "entry");
		connect_bench(bench);
	}
}

static void receiver_test_not_known(void **state)
{
	static const struct {
		uint32_t id;
		uint64_t target;
		const char *words;
		bool spoke;
	} odd[] = {
		{ CMD_GET, PAGES_OF(PID), "asks for pages", true },
		{ 9, PAGES_OF(PID), "the command 9 is not known", true },
		{ 99, PAGES_OF(PID), "the command 99 is not known", true },
		/* one that never spoke the protocol is a stranger */
		{ CMD_OPEN2, PID << 8 | 3, "no command", false },
		{ 0x20544547, 0x312e312f50545448, "no command", false },	/* "GET " and "HTTP/1.1" */
		{ 0x02010316, 0x312e312f50545448, "speaks TLS", false },	/* a ClientHello */
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		say(&bench->criu, odd[i].id & 0xffff, odd[i].id >> 16, 0, 0, odd[i].target);
		expect_refused(bench, CODE_PEER, odd[i].words);
		assert_int_equal(bench->receiver.spoke, odd[i].spoke);
		connect_bench(bench);
	}
}

static void say_packed_zeros(struct bench *bench, uint64_t page, size_t nr)
{
	const uint32_t none = 0;

	say(&bench->criu, CMD_COMPRESSED, PAGEMAP_PRESENT, page, nr, PAGES_OF(PID));
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(send(bench->criu.fd, &none, sizeof(none), MSG_NOSIGNAL), sizeof(none));
}

/* CRIU 4.3 with --compress says all entries by one command. */
static void receiver_test_compressed(void **state)
{
	struct bench *bench = *state;
	struct pagemap_entry entries[4];
	uint8_t pages[4 * PAGE_BYTES];
	const uint32_t whole = PAGE_BYTES;

	bench->criu.wide = true;
	open_task(bench, "\0");
	say_packed_zeros(bench, 4, 2);
	say(&bench->criu, CMD_COMPRESSED, PAGEMAP_LAZY, 8, 100, PAGES_OF(PID));
	say(&bench->criu, CMD_COMPRESSED, PAGEMAP_PRESENT | PAGEMAP_LAZY, 200, 1, PAGES_OF(PID));
	assert_int_equal(send(bench->criu.fd, &whole, sizeof(whole), MSG_NOSIGNAL), sizeof(whole));
	say_page(&bench->criu, 'c');
	say(&bench->criu, CMD_CLOSE, 0, 0, 0, 0);
	expect(&bench->criu, "\0\0\0\0", 4);
	hang_up(bench);
	assert_int_equal(pagemap_list(bench->fd, entries, 4), 3);
	assert_int_equal(entries[1].flags, PAGEMAP_LAZY);
	assert_int_equal(entries[2].addr, 200 * PAGE_BYTES);
	assert_int_equal(file_read(bench->fd, "pages-65537.img", pages, sizeof(pages)), 3 * PAGE_BYTES);
	assert_int_equal(pages[PAGE_BYTES], 0);
	assert_int_equal(pages[2 * PAGE_BYTES], 'c');
}

static void receiver_test_compressed_damaged(void **state)
{
	struct bench *bench = *state;
	const uint32_t bytes = PAGE_BYTES + 1;

	open_task(bench, "\0");
	say_packed_zeros(bench, 4, 1);
	say(&bench->criu, CMD_COMPRESSED, PAGEMAP_PRESENT, 5, 1, PAGES_OF(PID));
	assert_int_equal(send(bench->criu.fd, &bytes, sizeof(bytes), MSG_NOSIGNAL), sizeof(bytes));
	expect_refused(bench, CODE_PEER, "compressed page");
}

static void receiver_test_twice(void **state)
{
	struct bench *bench = *state;

	open_task(bench, "\0");
	say(&bench->criu, CMD_OPEN2, 0, 0, 0, PAGES_OF(PID));
	expect_refused(bench, CODE_PEER, "same object");
}

static void write_parent(struct bench *bench)
{
	static const uint8_t content[4 * PAGE_BYTES];
	int fd = openat(bench->base.fd, "before", O_DIRECTORY | O_CLOEXEC);
	struct image_out out;

	image_out_init(&out, IMAGE_PAGEMAP);
	pagemap_put_head(&out, 1);
	pagemap_put(&out, 4 * PAGE_BYTES, 4, PAGEMAP_PRESENT);
	assert_int_equal(image_out_store(&out, fd, "pagemap-77.img", &bench->err), 0);
	image_out_free(&out);
	file_write(fd, "pages-1.img", content, sizeof(content));
	close(fd);
}

static void receiver_test_parent(void **state)
{
	struct bench *bench = *state;
	struct pagemap_entry entries[4];

	write_parent(bench);
	say(&bench->criu, CMD_PARENT, 0, 0, 0, PAGES_OF(PID));
	expect(&bench->criu, "\1\0\0\0", 4);
	say(&bench->criu, CMD_PARENT, 0, 0, 0, PAGES_OF(PID + 1));
	expect(&bench->criu, "\0\0\0\0", 4);
	expect_nothing(bench);
	open_task(bench, "\1");
	say(&bench->criu, CMD_HOLE, 0, 4, 2, PAGES_OF(PID));
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_PRESENT, 6, 1, PAGES_OF(PID));
	say_page(&bench->criu, 'a');
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_PARENT, 7, 1, PAGES_OF(PID));
	say(&bench->criu, CMD_CLOSE, 0, 0, 0, 0);
	expect(&bench->criu, "\0\0\0\0", 4);
	hang_up(bench);
	assert_int_equal(bench->receiver.counts.in_parent, 3);
	assert_int_equal(pagemap_list(bench->fd, entries, 4), 3);
	assert_int_equal(entries[0].flags, PAGEMAP_PARENT);
	assert_int_equal(entries[1].flags, PAGEMAP_PRESENT);
	assert_int_equal(entries[2].flags, PAGEMAP_PARENT);
}

static void receiver_test_hole(void **state)
{
	struct bench *bench = *state;

	/* no parent */
	open_task(bench, "\0");
	say(&bench->criu, CMD_HOLE, 0, 4, 1, PAGES_OF(PID));
	expect_refused(bench, CODE_PEER, "left out");
	/* a parent that has the first page of two */
	connect_bench(bench);
	write_parent(bench);
	open_task(bench, "\1");
	say(&bench->criu, CMD_HOLE, 0, 7, 2, PAGES_OF(PID));
	expect_refused(bench, CODE_PEER, "left out");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(receiver_test_narrow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_wide, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_close_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_force_close, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_no_close, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_cut_in_page, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_stopped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_bad_entries, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_not_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_compressed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_compressed_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_parent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(receiver_test_hole, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
