// SPDX-License-Identifier: GPL-2.0
/* The page server of a dump: what is kept, what is thrown away, and what is no end. */
#define _GNU_SOURCE
#include <sys/socket.h>
#include "criu/page_sink.h"
#include "tests/criu_images.h"
#include "tests/fake_dump.h"

#define THROWN		0x401

struct bench {
	struct test_dir dir;
	struct criu_shm_id object;
	struct criu_dump_shm shm;
	struct page_sink sink;
	struct fake_dump criu;
	int stood, ours;
	struct error err;
};

static void count_stands(void *ctx)
{
	struct bench *bench = ctx;

	bench->stood++;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	dir_make(&bench->dir);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	bench->criu.fd = pair[0];
	bench->ours = pair[1];
	bench->object.shmid = THROWN;
	bench->shm = (struct criu_dump_shm){ .objects = &bench->object, .nr = 1,
					     .stands = count_stands, .ctx = bench };
	return page_sink_start(&bench->sink, bench->ours, bench->dir.fd, &bench->shm, &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	struct error ignored = { 0 };

	if (bench->criu.fd >= 0)
		close(bench->criu.fd);
	page_sink_end(&bench->sink, &ignored);
	close(bench->ours);
	dir_remove(&bench->dir);
	free(bench);
	return 0;
}

static void say_all(struct bench *bench)
{
	say(&bench->criu, CMD_OPEN2, 0, 0, 0, PAGES_OF(TEST_PID));
	expect(&bench->criu, "\0", 1);
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_PRESENT, 4, 2, PAGES_OF(TEST_PID));
	say_page(&bench->criu, 'a');
	say_page(&bench->criu, 'b');
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_LAZY, 8, 100, PAGES_OF(TEST_PID));
	say(&bench->criu, CMD_OPEN2, 0, 0, 0, SHM(THROWN));
	expect(&bench->criu, "\1", 1);
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_PRESENT, 0, 1, SHM(THROWN));
	say_page(&bench->criu, 'c');
	say(&bench->criu, CMD_OPEN2, 0, 0, 0, SHM(THROWN + 1));
	expect(&bench->criu, "\0", 1);
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_PRESENT, 0, 1, SHM(THROWN + 1));
	say_page(&bench->criu, 'd');
	say(&bench->criu, CMD_FORCE_CLOSE, 0, 0, 0, 0);
	expect(&bench->criu, "\0\0\0\0", 4);
}

static void check_images(struct bench *bench)
{
	struct pagemap_entry entries[4];
	uint8_t pages[3 * PAGE_BYTES];

	assert_int_equal(page_sink_end(&bench->sink, &bench->err), 0);
	assert_int_equal(pagemap_list(bench->dir.fd, entries, 4), 2);
	assert_int_equal(entries[0].addr, 4 * PAGE_BYTES);
	assert_int_equal(entries[0].flags, PAGEMAP_PRESENT);
	assert_int_equal(entries[1].nr_pages, 100);
	assert_int_equal(entries[1].flags, PAGEMAP_LAZY);
	assert_int_equal(file_read(bench->dir.fd, "pages-1.img", pages, sizeof(pages)), 2 * PAGE_BYTES);
	assert_int_equal(pages[0], 'a');
	assert_int_equal(pages[PAGE_BYTES], 'b');
	assert_true(bench->object.dumped);
	assert_int_equal(bench->stood, 1);
	assert_int_equal(bench->sink.thrown, 1);
	assert_int_equal(faccessat(bench->dir.fd, "pagemap-shmem-1025.img", F_OK, 0), -1);
	assert_int_equal(faccessat(bench->dir.fd, "pagemap-shmem-1026.img", F_OK, 0), 0);
	assert_int_equal(file_read(bench->dir.fd, "pages-2.img", pages, sizeof(pages)), PAGE_BYTES);
	assert_int_equal(pages[0], 'd');
}

static void sink_test_narrow(void **state)
{
	say_all(*state);
	check_images(*state);
}

static void sink_test_wide(void **state)
{
	struct bench *bench = *state;

	bench->criu.wide = true;
	say_all(bench);
	check_images(bench);
}

/* CRIU asks whether the parent has a task before it takes a page for clean. */
static void sink_test_parent(void **state)
{
	struct bench *bench = *state;
	struct error err = { 0 };
	int parent;

	assert_int_equal(mkdirat(bench->dir.fd, "parent", 0700), 0);
	parent = openat(bench->dir.fd, "parent", O_DIRECTORY | O_CLOEXEC);
	file_write(parent, "pagemap-77.img", "", 0);
	close(parent);
	/* not yet: no task need have been stopped */
	say(&bench->criu, CMD_PARENT, 0, 0, 0, PAGES_OF(TEST_PID));
	expect(&bench->criu, "\1\0\0\0", 4);
	say(&bench->criu, CMD_PARENT, 0, 0, 0, PAGES_OF(TEST_PID + 1));
	expect(&bench->criu, "\0\0\0\0", 4);
	assert_int_equal(bench->stood, 0);
	say(&bench->criu, CMD_OPEN2, 0, 0, 0, PAGES_OF(TEST_PID));
	expect(&bench->criu, "\1", 1);
	say(&bench->criu, CMD_FORCE_CLOSE, 0, 0, 0, 0);
	expect(&bench->criu, "\0\0\0\0", 4);
	assert_int_equal(page_sink_end(&bench->sink, &err), 0);
}

/* CRIU dies, or is held without having sent its pages: the images are not complete. */
static void sink_test_incomplete(void **state)
{
	struct bench *bench = *state;

	say(&bench->criu, CMD_OPEN2, 0, 0, 0, PAGES_OF(TEST_PID));
	expect(&bench->criu, "\0", 1);
	assert_int_equal(page_sink_end(&bench->sink, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_CRIU);
}

static void sink_test_torn(void **state)
{
	struct bench *bench = *state;

	say(&bench->criu, CMD_OPEN2, 0, 0, 0, SHM(THROWN));
	expect(&bench->criu, "\1", 1);
	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_PRESENT, 0, 2, SHM(THROWN));
	say_page(&bench->criu, 'a');
	close(bench->criu.fd);
	bench->criu.fd = -1;
	assert_int_equal(page_sink_end(&bench->sink, &bench->err), -1);
}

static void sink_test_unopened(void **state)
{
	struct bench *bench = *state;
	uint8_t byte;

	say(&bench->criu, CMD_ADD_FLAGS, PAGEMAP_LAZY, 0, 1, PAGES_OF(TEST_PID));
	assert_int_equal(recv(bench->criu.fd, &byte, 1, 0), 0);
	assert_int_equal(page_sink_end(&bench->sink, &bench->err), -1);
	assert_non_null(strstr(bench->err.what, "not opened"));
}

/* A memfd and a segment that nobody has attached have one number: CRIU would restore the one without its pages. */
static void refused_as_double(struct bench *bench, uint64_t id)
{
	uint8_t byte;

	say(&bench->criu, CMD_OPEN2, 0, 0, 0, SHM(id));
	assert_int_equal(recv(bench->criu.fd, &byte, 1, 0), 1);
	say(&bench->criu, CMD_OPEN2, 0, 0, 0, SHM(id));
	assert_int_equal(recv(bench->criu.fd, &byte, 1, 0), 0);
	assert_int_equal(page_sink_end(&bench->sink, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_REFUSED);
	assert_non_null(strstr(bench->err.what, "CRIU takes for one"));
}

static void sink_test_thrown_double(void **state)
{
	refused_as_double(*state, THROWN);
}

static void sink_test_kept_double(void **state)
{
	refused_as_double(*state, THROWN + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sink_test_narrow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sink_test_wide, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sink_test_parent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sink_test_incomplete, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sink_test_torn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sink_test_unopened, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sink_test_thrown_double, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sink_test_kept_double, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
