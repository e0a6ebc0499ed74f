// SPDX-License-Identifier: GPL-2.0
/* Images through both ends of the link: what a restore sees of a dump that succeeds, fails, or is in doubt. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/thread.h"
#include "services/image_downlink.h"
#include "services/image_uplink.h"

#define LARGE	(200U << 10)

struct bench {
	struct image_uplink up;
	struct image_downlink down;
	struct image_store store;
	int wake_fd, pipe[2], caller[2];
	struct error err;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	image_store_init(&bench->store, 1 << 20);
	bench->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, bench->caller) ||
	    pipe2(bench->pipe, O_CLOEXEC))
		return -1;
	fcntl(bench->pipe[0], F_SETPIPE_SZ, 1 << 20);
	return image_downlink_open(&bench->down, &bench->store, pair[1], &bench->err) ||
	       image_uplink_open(&bench->up, pair[0], &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	image_uplink_close(&bench->up);
	image_downlink_close(&bench->down);
	image_store_free(&bench->store);
	assert_int_equal(bench->store.used, 0);
	close(bench->wake_fd);
	for (int i = 0; i < 2; i++) {
		close(bench->pipe[i]);
		close(bench->caller[i]);
	}
	free(bench);
	return 0;
}

static int begin(struct bench *bench, const char *id)
{
	int dump = image_uplink_begin(&bench->up, id, bench->wake_fd, &bench->err);

	assert_true(dump >= 0);
	return dump;
}

static int put_data(struct bench *bench, int image, uint8_t fill, size_t bytes)
{
	static uint8_t data[LARGE];

	memset(data, fill, bytes);
	assert_int_equal(write(bench->pipe[1], data, bytes), bytes);
	return image_uplink_data(&bench->up, image, bench->pipe[0], bytes, &bench->err);
}

/* An image in two pieces. */
static void put_image(struct bench *bench, int dump, const char *name, uint8_t fill, size_t bytes)
{
	int image = image_uplink_image(&bench->up, dump, name, &bench->err);

	assert_true(image >= 0);
	assert_int_equal(put_data(bench, image, fill, bytes / 2), 0);
	assert_int_equal(put_data(bench, image, fill, bytes - bytes / 2), 0);
	assert_int_equal(image_uplink_image_end(&bench->up, image, bytes, &bench->err), 0);
}

static void expect_image(struct bench *bench, struct stored_dump *dump, const char *name,
			 uint8_t fill, size_t bytes)
{
	const struct stored_image *image = image_store_get(&bench->store, dump, name);
	static uint8_t data[LARGE];

	assert_non_null(image);
	assert_int_equal(image->bytes, bytes);
	if (image->fd >= 0)
		assert_int_equal(pread(image->fd, data, sizeof(data), 0), bytes);
	else
		memcpy(data, image->data, bytes);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(data[i], fill);
}

static void link_test_commit(void **state)
{
	struct bench *bench = *state;
	int dump = begin(bench, "a"), other = begin(bench, "b");
	struct stored_dump *stored;

	put_image(bench, dump, "small", 1, 1000);
	put_image(bench, other, "small", 2, 3000);
	put_image(bench, dump, "pages-1.img", 3, LARGE);
	put_image(bench, dump, "empty", 0, 2);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 3, &bench->err), 0);
	assert_int_equal(image_uplink_finish(&bench->up, dump, true, &bench->err), 0);
	stored = image_store_find(&bench->store, "a", bench->caller[0]);
	assert_non_null(stored);
	expect_image(bench, stored, "small", 1, 1000);
	expect_image(bench, stored, "pages-1.img", 3, LARGE);
	assert_null(image_store_get(&bench->store, stored, "none"));
	/* kept when the restore did not read it all, and gone when it did */
	assert_false(image_store_put(&bench->store, stored, false));
	stored = image_store_find(&bench->store, "a", bench->caller[0]);
	assert_true(image_store_put(&bench->store, stored, true));
	image_uplink_finish(&bench->up, other, false, &bench->err);
}

/* struct finder - a request that waits, in a thread */
struct finder {
	struct bench *bench;
	struct stored_dump *found;
	pthread_t thread;
};

static void *find_body(void *arg)
{
	struct finder *finder = arg;

	finder->found = image_store_find(&finder->bench->store, "a", finder->bench->caller[0]);
	return NULL;
}

static void find(struct finder *finder, struct bench *bench)
{
	finder->bench = bench;
	assert_int_equal(thread_start(&finder->thread, find_body, finder, &bench->err), 0);
	usleep(50000);
}

static void link_test_waits(void **state)
{
	struct bench *bench = *state;
	struct finder finder = { 0 };
	int dump;

	find(&finder, bench);
	dump = begin(bench, "a");
	put_image(bench, dump, "x", 1, 10);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 1, &bench->err), 0);
	usleep(700000);
	assert_int_equal(pthread_tryjoin_np(finder.thread, NULL), EBUSY);
	image_uplink_finish(&bench->up, dump, true, &bench->err);
	pthread_join(finder.thread, NULL);
	assert_non_null(finder.found);
	image_store_put(&bench->store, finder.found, false);
}

static void link_test_closed(void **state)
{
	struct bench *bench = *state;
	struct finder finder = { 0 };
	int dump = begin(bench, "a");

	put_image(bench, dump, "x", 1, 10);
	find(&finder, bench);
	image_uplink_cut(&bench->up);
	pthread_join(finder.thread, NULL);
	assert_null(finder.found);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 1, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_NETWORK);
	/* later ones do not wait either */
	assert_null(image_store_find(&bench->store, "a", bench->caller[0]));
}

/* The link is lost between SEALED and COMMIT: those that wait get nothing, a new restore gets the images. */
static void link_test_doubt(void **state)
{
	struct bench *bench = *state;
	struct finder finder = { 0 };
	struct stored_dump *stored;
	int dump = begin(bench, "a");

	put_image(bench, dump, "x", 7, 10);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 1, &bench->err), 0);
	find(&finder, bench);
	image_uplink_cut(&bench->up);
	pthread_join(finder.thread, NULL);
	assert_null(finder.found);
	stored = image_store_find(&bench->store, "a", bench->caller[0]);
	assert_non_null(stored);
	expect_image(bench, stored, "x", 7, 10);
	image_store_put(&bench->store, stored, false);
}

static void link_test_abort(void **state)
{
	struct bench *bench = *state;
	int dump = begin(bench, "a"), image = image_uplink_image(&bench->up, dump, "x", &bench->err);

	put_data(bench, image, 1, LARGE);
	assert_int_equal(image_uplink_finish(&bench->up, dump, false, &bench->err), 0);
	image_uplink_forget(&bench->up, image);
	/* its numbers can be used again */
	dump = begin(bench, "a");
	put_image(bench, dump, "x", 2, 20);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 1, &bench->err), 0);
	image_uplink_finish(&bench->up, dump, true, &bench->err);
}

/* More than the store may hold, an image twice, a seal over too few images: refused, and the link goes on. */
static void link_test_refused(void **state)
{
	struct bench *bench = *state;
	int dump = begin(bench, "a"), image = image_uplink_image(&bench->up, dump, "x", &bench->err);

	for (int i = 0; i < 6; i++)
		assert_int_equal(put_data(bench, image, 1, LARGE), 0);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 1, &bench->err), -1);
	assert_non_null(strstr(bench->err.what, "--max-memory"));
	image_uplink_finish(&bench->up, dump, false, &(struct error){ 0 });
	image_uplink_forget(&bench->up, image);
	bench->err = (struct error){ 0 };

	dump = begin(bench, "a");
	put_image(bench, dump, "x", 1, 10);
	put_image(bench, dump, "x", 1, 10);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 2, &bench->err), -1);
	assert_non_null(strstr(bench->err.what, "twice"));
	image_uplink_finish(&bench->up, dump, false, &(struct error){ 0 });
	bench->err = (struct error){ 0 };

	dump = begin(bench, "a");
	put_image(bench, dump, "x", 1, 10);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 2, &bench->err), -1);
	image_uplink_finish(&bench->up, dump, false, &(struct error){ 0 });
	bench->err = (struct error){ 0 };

	dump = begin(bench, "a");
	put_image(bench, dump, "x", 1, 10);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 1, &bench->err), 0);
	image_uplink_finish(&bench->up, dump, true, &bench->err);
}

/* The link is lost while a dump waits for the memory of a restore: the next proxy need not wait for that restore. */
static void link_test_lost_full(void **state)
{
	struct bench *bench = *state;
	struct stored_dump *stored;
	int dump = begin(bench, "a"), image;
	bool ended;

	put_image(bench, dump, "pages-1.img", 1, LARGE);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 1, &bench->err), 0);
	image_uplink_finish(&bench->up, dump, true, &bench->err);
	stored = image_store_find(&bench->store, "a", bench->caller[0]);
	assert_non_null(stored);

	dump = begin(bench, "b");
	image = image_uplink_image(&bench->up, dump, "pages-1.img", &bench->err);
	for (int i = 0; i < 4; i++)
		assert_int_equal(put_data(bench, image, 1, LARGE), 0);
	/* too much for the store, and little enough for the socket */
	assert_int_equal(put_data(bench, image, 1, 30000), 0);
	usleep(100000);
	assert_false(bench->down.ended);
	image_uplink_cut(&bench->up);
	for (int i = 0; i < 50 && !bench->down.ended; i++)
		usleep(100000);
	ended = bench->down.ended;
	image_store_put(&bench->store, stored, false);
	assert_true(ended);
}

/* Images, and dumps, without a byte: they count, too. */
static void link_test_empty(void **state)
{
	struct bench *bench = *state;
	int dump, image, nr = 0;
	char name[16];

	bench->store.max_bytes = 32 * STORED_OVERHEAD;
	dump = begin(bench, "a");
	while (!image_uplink_check(&bench->up, dump, &bench->err) && nr < 1 << 16) {
		snprintf(name, sizeof(name), "%d.img", nr++);
		image = image_uplink_image(&bench->up, dump, name, &bench->err);
		assert_true(image >= 0);
		assert_int_equal(image_uplink_image_end(&bench->up, image, 0, &bench->err), 0);
	}
	assert_non_null(strstr(bench->err.what, "--max-memory"));
	image_uplink_finish(&bench->up, dump, false, &(struct error){ 0 });
	bench->err = (struct error){ 0 };
	for (nr = 0; nr < 1 << 16; nr++) {
		snprintf(name, sizeof(name), "%d", nr);
		dump = begin(bench, name);
		if (image_uplink_seal(&bench->up, dump, 0, &bench->err))
			break;
		image_uplink_finish(&bench->up, dump, true, &bench->err);
	}
	assert_int_equal(nr, 32);
	assert_non_null(strstr(bench->err.what, "--max-memory"));
	image_uplink_finish(&bench->up, dump, false, &(struct error){ 0 });
}

/* A dump of one image, which is complete */
static void put_dump(struct bench *bench, const char *id, uint8_t fill)
{
	int dump = begin(bench, id);

	put_image(bench, dump, "x", fill, 10);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 1, &bench->err), 0);
	image_uplink_finish(&bench->up, dump, true, &bench->err);
}

/* The dump that comes after @first, with a reader */
static struct stored_dump *find_second(struct bench *bench, const struct stored_dump *first)
{
	struct stored_dump *second;

	do
		second = image_store_find(&bench->store, "a", bench->caller[0]);
	while (second == first && !image_store_put(&bench->store, second, false));
	return second;
}

/* A dump replaces an earlier one with its id, but for a restore that reads it. */
static void link_test_replaced(void **state)
{
	struct bench *bench = *state;
	struct stored_dump *first, *second;

	put_dump(bench, "a", 0);
	first = image_store_find(&bench->store, "a", bench->caller[0]);
	put_dump(bench, "a", 1);
	second = find_second(bench, first);
	expect_image(bench, first, "x", 0, 10);
	expect_image(bench, second, "x", 1, 10);
	image_store_put(&bench->store, first, false);
	image_store_put(&bench->store, second, false);
	assert_int_equal(bench->store.used, 10 + 2 * STORED_OVERHEAD);
}

/* The last restore of a dump that was replaced removes this dump, and looks at those that are older. */
static void link_test_replaced_last(void **state)
{
	struct bench *bench = *state;
	struct stored_dump *first, *second, *other;

	put_dump(bench, "b", 2);
	other = image_store_find(&bench->store, "b", bench->caller[0]);
	image_store_put(&bench->store, other, false);
	put_dump(bench, "a", 0);
	first = image_store_find(&bench->store, "a", bench->caller[0]);
	put_dump(bench, "a", 1);
	second = find_second(bench, first);
	image_store_put(&bench->store, first, false);
	assert_int_equal(bench->store.used, 2 * (10 + 2 * STORED_OVERHEAD));
	expect_image(bench, second, "x", 1, 10);
	image_store_put(&bench->store, second, false);
	other = image_store_find(&bench->store, "b", bench->caller[0]);
	expect_image(bench, other, "x", 2, 10);
	image_store_put(&bench->store, other, false);
}

/* No descriptor for a large image: this dump is refused, and the link goes on. */
static void link_test_descriptors(void **state)
{
	struct bench *bench = *state;
	struct rlimit old, few = { 0 };
	int dump = begin(bench, "a"), image, next = dup(0);

	put_image(bench, dump, "small", 1, 100);
	image = image_uplink_image(&bench->up, dump, "pages-1.img", &bench->err);
	assert_true(image >= 0);
	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ .rlim_cur = next, .rlim_max = old.rlim_max };
	close(next);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(put_data(bench, image, 2, LARGE), 0);
	assert_int_equal(image_uplink_image_end(&bench->up, image, LARGE, &bench->err), 0);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 2, &bench->err), -1);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_non_null(strstr(bench->err.what, "no memory for an image"));
	assert_int_equal(image_uplink_finish(&bench->up, dump, false, &bench->err), 0);
	dump = begin(bench, "a");
	put_image(bench, dump, "pages-1.img", 3, LARGE);
	assert_int_equal(image_uplink_seal(&bench->up, dump, 1, &bench->err), 0);
	assert_int_equal(image_uplink_finish(&bench->up, dump, true, &bench->err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(link_test_commit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_test_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_test_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_test_doubt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_test_abort, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_test_descriptors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_test_lost_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_test_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_test_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_test_replaced_last, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
