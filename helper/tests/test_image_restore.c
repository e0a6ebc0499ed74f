// SPDX-License-Identifier: GPL-2.0
/* A restore at image-cache: when its dump is forgotten, and when it is kept for another try. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fdpass.h"
#include "base/thread.h"
#include "services/image_restore.h"
#include "services/stream_request.h"

#define PAGES		"pages-1.img"
#define PAGES_BYTES	8192

/** struct bench - a cache with one dump, and the connection of a CRIU, whose end is @criu */
struct bench {
	struct image_store store;
	struct image_restores restores;
	struct image_loop loop;
	struct image_door door;
	struct image_client client;
	int criu;
	pthread_t thread;
	struct error err;
};

static void put_dump(struct bench *bench)
{
	struct stored_dump *dump = image_store_begin(&bench->store, "a", -1, &bench->err);
	struct stored_image *image = image_store_image(&bench->store, dump, PAGES, &bench->err);
	static const uint8_t pages[PAGES_BYTES];
	int pair[2], none[2] = { -1, -1 };
	struct conn conn;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	conn = (struct conn){ .fd = pair[0] };
	assert_int_equal(write(pair[1], pages, sizeof(pages)), sizeof(pages));
	assert_int_equal(image_store_reserve(&bench->store, dump, image, sizeof(pages), &bench->err), 0);
	assert_int_equal(image_store_take(image, &conn, none, sizeof(pages), &bench->err), 0);
	image_store_whole(&bench->store, dump, image);
	assert_int_equal(image_store_seal(&bench->store, dump, 1, &bench->err), 0);
	image_store_commit(&bench->store, dump);
	close(pair[0]);
	close(pair[1]);
}

static void *serve_body(void *arg)
{
	image_restore_serve(&((struct bench *)arg)->client);
	return NULL;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	image_store_init(&bench->store, 1 << 20);
	put_dump(bench);
	bench->restores.store = &bench->store;
	pthread_mutex_init(&bench->restores.lock, NULL);
	bench->loop.ctx = &bench->restores;
	strcpy(bench->door.id, "a");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	bench->criu = pair[0];
	bench->client = (struct image_client){
		.loop = &bench->loop, .door = &bench->door, .fd = pair[1], .pid = getpid(),
	};
	assert_int_equal(thread_start(&bench->thread, serve_body, bench, &bench->err), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	image_store_free(&bench->store);
	assert_int_equal(bench->store.used, 0);
	close(bench->client.fd);
	free(bench);
	return 0;
}

/* Ask for the pages, and read @bytes of them. Return: 0 when they came */
static int read_pages(int criu, size_t bytes)
{
	static const char request[] = "\n\013" PAGES;
	uint32_t length = sizeof(request) - 1;
	bool exists = false;
	char page[512];
	int ends[2];

	if (write(criu, &length, sizeof(length)) != sizeof(length) ||
	    write(criu, request, length) != length || stream_reply_read(criu, &exists) || !exists ||
	    pipe(ends) || fdpass_send(criu, "", 1, &ends[1], 1))
		return -1;
	close(ends[1]);
	for (size_t done = 0; done < bytes; done += sizeof(page))
		if (read(ends[0], page, sizeof(page)) != sizeof(page))
			return -1;
	close(ends[0]);
	return 0;
}

/* A task that reads its pages, tells so, and becomes the program, or stays what it was: CRIU */
static pid_t start_task(struct bench *bench, size_t bytes, bool program)
{
	int told[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		if (read_pages(bench->criu, bytes) || write(told[1], "", 1) != 1)
			_exit(1);
		/* the last one that has CRIU's connection is CRIU */
		close(bench->criu);
		if (program)
			execlp("sleep", "sleep", "1000", NULL);
		close(told[1]);
		for (;;)
			pause();
	}
	close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	/* the task has closed the connection */
	assert_int_equal(read(told[0], &byte, 1), 0);
	close(told[0]);
	return pid;
}

static void end_task(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void hang_up(struct bench *bench)
{
	close(bench->criu);
	pthread_join(bench->thread, NULL);
}

static void restore_test_lives(void **state)
{
	struct bench *bench = *state;
	pid_t task = start_task(bench, PAGES_BYTES, true);

	hang_up(bench);
	assert_int_equal(bench->restores.restored, 1);
	assert_null(bench->store.dumps);
	end_task(task);
}

/* CRIU fails after its task has read all pages: the dump is the only one of the program that there is. */
static void restore_test_killed(void **state)
{
	struct bench *bench = *state;
	pid_t task = start_task(bench, PAGES_BYTES, true);

	kill(task, SIGKILL);
	hang_up(bench);
	assert_int_equal(bench->restores.restored, 0);
	assert_int_equal(bench->restores.failed, 1);
	assert_non_null(bench->store.dumps);
	end_task(task);
}

/* CRIU is killed before its task has become the program: the task stays for ever. */
static void restore_test_no_program(void **state)
{
	struct bench *bench = *state;
	pid_t task = start_task(bench, PAGES_BYTES, false);

	hang_up(bench);
	assert_int_equal(bench->restores.failed, 1);
	assert_non_null(bench->store.dumps);
	end_task(task);
}

static void restore_test_cut(void **state)
{
	struct bench *bench = *state;
	pid_t task = start_task(bench, PAGES_BYTES / 2, true);

	hang_up(bench);
	assert_int_equal(bench->restores.failed, 1);
	assert_non_null(bench->store.dumps);
	end_task(task);
}

/* Pages that CRIU reads itself say nothing of a task. */
static void restore_test_alone(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(read_pages(bench->criu, PAGES_BYTES), 0);
	hang_up(bench);
	assert_int_equal(bench->restores.restored, 1);
	assert_null(bench->store.dumps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(restore_test_lives, set_up, tear_down),
		cmocka_unit_test_setup_teardown(restore_test_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(restore_test_no_program, set_up, tear_down),
		cmocka_unit_test_setup_teardown(restore_test_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(restore_test_alone, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
