// SPDX-License-Identifier: GPL-2.0
/* GETs and their answers: both forms, in pieces, cut short, and from a page server that lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/page.h"
#include "base/thread.h"
#include "criu/pagemap.h"
#include "services/lazy_link.h"

#define TASK	77

/** struct pair - a link, and the page server's end of it; what came to came() */
static struct pair {
	struct lazy_link link;
	int far;
	uint64_t addr, nr_pages, calls;
	uint8_t first;
} pair;

static int came(void *owner, uint64_t addr, uint64_t nr_pages, const void *pages, struct error *err)
{
	assert_ptr_equal(owner, &pair);
	pair.addr = addr;
	pair.nr_pages = nr_pages;
	pair.first = *(const uint8_t *)pages;
	pair.calls++;
	return 0;
}

static void open_pair(size_t form)
{
	struct error err = { 0 };
	int fds[2], room = 4 << 20;

	pair = (struct pair){ .far = -1 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	assert_int_equal(lazy_link_init(&pair.link, &err), 0);
	pair.link.form = form;
	lazy_link_use(&pair.link, fds[0], NULL);
	pair.far = fds[1];
}

static void close_pair(void)
{
	lazy_link_free(&pair.link);
	close(pair.far);
}

static void ask(uint64_t page, uint64_t nr_pages)
{
	struct error err = { 0 };

	assert_int_equal(lazy_link_ask(&pair.link, &pair, TASK, page * PAGE_BYTES, nr_pages, &err), 0);
	assert_int_equal(lazy_link_send(&pair.link, &err), 0);
}

static void heard(struct page_command *command)
{
	uint8_t raw[PAGE_COMMAND_WIDE];

	assert_int_equal(recv(pair.far, raw, pair.link.form, MSG_WAITALL), pair.link.form);
	page_command_get(raw, pair.link.form, command);
}

static void answer(const struct page_command *head, uint8_t content, size_t cut)
{
	size_t bytes = head->nr_pages * PAGE_BYTES;
	uint8_t *whole = malloc(PAGE_COMMAND_WIDE + bytes);
	size_t at = page_command_put(whole, pair.link.form, head);

	memset(whole + at, content, bytes);
	if (cut > at + bytes)
		cut = at + bytes;
	assert_int_equal(send(pair.far, whole, cut, 0), cut);
	free(whole);
}

static const struct page_command right = {
	.id = PAGE_COMMAND_ADD_FLAGS, .flags = PAGEMAP_PRESENT, .nr_pages = 4, .addr = 16 * PAGE_BYTES, .target = TASK,
};

static void get_and_answer(size_t form)
{
	struct page_command command;
	struct error err = { 0 };

	open_pair(form);
	ask(16, 6);
	ask(100, 1);
	heard(&command);
	assert_int_equal(command.id, PAGE_COMMAND_GET);
	assert_int_equal(command.nr_pages, 6);
	assert_int_equal(command.addr, 16 * PAGE_BYTES);
	assert_int_equal(command.target, TASK);
	heard(&command);
	assert_int_equal(pair.link.asked, 7);
	assert_int_equal(lazy_link_receive(&pair.link, came, &err), 0);
	/* four of six: the last two are asked for again */
	answer(&right, 5, SIZE_MAX);
	assert_int_equal(lazy_link_receive(&pair.link, came, &err), 1);
	assert_int_equal(pair.addr, 16 * PAGE_BYTES);
	assert_int_equal(pair.nr_pages, 4);
	assert_int_equal(pair.first, 5);
	assert_int_equal(pair.link.nr, 2);
	assert_int_equal(lazy_link_send(&pair.link, &err), 0);
	heard(&command);
	assert_int_equal(command.addr, 20 * PAGE_BYTES);
	assert_int_equal(command.nr_pages, 2);
	assert_int_equal(pair.link.asked, 3);
	close_pair();
}

static void link_test_narrow(void **state)
{
	get_and_answer(PAGE_COMMAND_NARROW);
}

static void link_test_wide(void **state)
{
	get_and_answer(PAGE_COMMAND_WIDE);
}

static void link_test_in_pieces(void **state)
{
	uint8_t whole[PAGE_COMMAND_NARROW + PAGE_BYTES] = { 0 };
	struct page_command head = right;
	struct error err = { 0 };

	open_pair(PAGE_COMMAND_NARROW);
	ask(16, 1);
	head.nr_pages = 1;
	page_command_put(whole, PAGE_COMMAND_NARROW, &head);
	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		assert_int_equal(send(pair.far, whole + i, 1, 0), 1);
		assert_int_equal(lazy_link_receive(&pair.link, came, &err), 0);
	}
	assert_int_equal(pair.calls, 0);
	assert_int_equal(send(pair.far, whole + sizeof(whole) - 1, 1, 0), 1);
	assert_int_equal(lazy_link_receive(&pair.link, came, &err), 1);
	assert_int_equal(pair.calls, 1);
	close_pair();
}

/* Nothing of an answer that is not the answer is used, and the connection stays open. */
static void link_test_wrong(void **state)
{
	const struct page_command wrongs[] = {
		{ PAGE_COMMAND_ADD, PAGEMAP_PRESENT, 4, 16 * PAGE_BYTES, TASK },
		{ PAGE_COMMAND_ADD_FLAGS, PAGEMAP_LAZY, 4, 16 * PAGE_BYTES, TASK },
		{ PAGE_COMMAND_ADD_FLAGS, PAGEMAP_PRESENT | PAGEMAP_PARENT, 4, 16 * PAGE_BYTES, TASK },
		{ PAGE_COMMAND_ADD_FLAGS, PAGEMAP_PRESENT, 5, 16 * PAGE_BYTES, TASK },
		{ PAGE_COMMAND_ADD_FLAGS, PAGEMAP_PRESENT, 0, 16 * PAGE_BYTES, TASK },
		{ PAGE_COMMAND_ADD_FLAGS, PAGEMAP_PRESENT, 4, 17 * PAGE_BYTES, TASK },
		{ PAGE_COMMAND_ADD_FLAGS, PAGEMAP_PRESENT, 4, 16 * PAGE_BYTES, TASK + 1 },
	};
	uint8_t raw[PAGE_COMMAND_WIDE];

	for (size_t i = 0; i < sizeof(wrongs) / sizeof(*wrongs); i++) {
		struct error err = { 0 };

		open_pair(i % 2 ? PAGE_COMMAND_WIDE : PAGE_COMMAND_NARROW);
		ask(16, 4);
		answer(&wrongs[i], 1, SIZE_MAX);
		assert_int_equal(lazy_link_receive(&pair.link, came, &err), -1);
		assert_int_equal(err.code, CODE_PEER);
		assert_int_equal(pair.calls, 0);
		assert_false(lazy_link_is_open(&pair.link));
		assert_int_equal(recv(pair.far, raw, pair.link.form, 0), pair.link.form);
		assert_int_equal(recv(pair.far, raw, 1, MSG_DONTWAIT), -1);
		close_pair();
	}
}

static void link_test_unasked(void **state)
{
	struct error err = { 0 };

	open_pair(PAGE_COMMAND_NARROW);
	answer(&right, 1, SIZE_MAX);
	assert_int_equal(lazy_link_receive(&pair.link, came, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_int_equal(pair.calls, 0);
	close_pair();
}

static void link_test_lost(void **state)
{
	struct error err = { 0 };
	int fds[2];

	open_pair(PAGE_COMMAND_NARROW);
	ask(16, 4);
	answer(&right, 1, PAGE_COMMAND_NARROW + 100);
	shutdown(pair.far, SHUT_WR);
	assert_int_equal(lazy_link_receive(&pair.link, came, &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	assert_int_equal(pair.calls, 0);
	lazy_link_lost(&pair.link);
	assert_int_equal(pair.link.asked, 0);
	/* a new connection begins anew */
	close(pair.far);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	lazy_link_use(&pair.link, fds[0], NULL);
	pair.far = fds[1];
	ask(16, 4);
	answer(&right, 9, SIZE_MAX);
	memset(&err, 0, sizeof(err));
	assert_int_equal(lazy_link_receive(&pair.link, came, &err), 1);
	assert_int_equal(pair.first, 9);
	close_pair();
}

static void *say_ended(void *status)
{
	struct page_command command;

	heard(&command);
	assert_int_equal(command.id, PAGE_COMMAND_CLOSE);
	assert_int_equal(send(pair.far, status, sizeof(int32_t), 0), sizeof(int32_t));
	return NULL;
}

static void link_test_finish(void **state)
{
	int32_t status[] = { 0, -1 };

	for (int i = 0; i < 2; i++) {
		struct error err = { 0 };
		pthread_t server;

		open_pair(PAGE_COMMAND_NARROW);
		pthread_create(&server, NULL, say_ended, &status[i]);
		assert_int_equal(lazy_link_finish(&pair.link, &err), status[i]);
		pthread_join(server, NULL);
		assert_int_equal(pair.link.fd, -1);
		close_pair();
	}
}

/* The page server has to see a command that it does not know, and not the end of the connection. */
static void *see_abort(void *ctx)
{
	struct page_command command;

	heard(&command);
	assert_int_equal(command.id, PAGE_COMMAND_GET);
	heard(&command);
	assert_int_equal(command.id, 0);
	shutdown(pair.far, SHUT_WR);
	return NULL;
}

static void link_test_abort(void **state)
{
	pthread_t server;

	open_pair(PAGE_COMMAND_NARROW);
	ask(16, 4);
	pthread_create(&server, NULL, see_abort, NULL);
	lazy_link_abort(&pair.link);
	pthread_join(server, NULL);
	assert_int_equal(pair.link.fd, -1);
	close_pair();
}

/*
 * What another process has asked for comes first, in the middle of an answer; then the answers to the three GETs by which
 * the end is found.
 */
static void *answer_marks(void *rest)
{
	struct page_command command;
	uint8_t old[3 * PAGE_BYTES];

	/* bytes of a program may look like anything: here like an answer to the first mark */
	memset(old, 7, sizeof(old));
	page_command_put(old, PAGE_COMMAND_NARROW, &(struct page_command){
		.id = PAGE_COMMAND_ADD_FLAGS, .flags = PAGEMAP_PRESENT, .nr_pages = 1,
		.addr = 8 * PAGE_BYTES, .target = TASK,
	});
	assert_int_equal(send(pair.far, old, *(size_t *)rest, 0), *(size_t *)rest);
	for (int i = 0; i < 3; i++) {
		heard(&command);
		assert_int_equal(command.nr_pages, 1);
		command.id = PAGE_COMMAND_ADD_FLAGS;
		command.flags = PAGEMAP_PRESENT;
		answer(&command, i, SIZE_MAX);
		usleep(20000);
	}
	return NULL;
}

static void link_test_resync(void **state)
{
	const struct lazy_page known[] = { { TASK, 8 * PAGE_BYTES }, { TASK, 9 * PAGE_BYTES } };
	size_t rests[] = { 0, 100, PAGE_COMMAND_NARROW + PAGE_BYTES, 3 * PAGE_BYTES };

	for (size_t i = 0; i < sizeof(rests) / sizeof(*rests); i++) {
		struct error err = { 0 };
		pthread_t server;

		open_pair(PAGE_COMMAND_NARROW);
		pthread_create(&server, NULL, answer_marks, &rests[i]);
		assert_int_equal(lazy_link_resync(&pair.link, known, 5000, &err), 0);
		pthread_join(server, NULL);
		/* nothing is left of it */
		ask(16, 4);
		answer(&right, 9, SIZE_MAX);
		assert_int_equal(lazy_link_receive(&pair.link, came, &err), 1);
		assert_int_equal(pair.first, 9);
		close_pair();
	}
}

static void link_test_resync_lost(void **state)
{
	const struct lazy_page known[] = { { TASK, 8 * PAGE_BYTES }, { TASK, 9 * PAGE_BYTES } };
	struct error err = { 0 };

	open_pair(PAGE_COMMAND_NARROW);
	shutdown(pair.far, SHUT_WR);
	assert_int_equal(lazy_link_resync(&pair.link, known, 5000, &err), -1);
	assert_int_equal(err.code, CODE_NETWORK);
	close_pair();
}

/* The answers of a server that is slow do not come in time: the next process that tries finds their end. */
static void link_test_resync_silent(void **state)
{
	const struct lazy_page known[][2] = {
		{ { TASK, 10 * PAGE_BYTES }, { TASK, 11 * PAGE_BYTES } }, { { TASK, 8 * PAGE_BYTES }, { TASK, 9 * PAGE_BYTES } },
	};
	struct error err = { 0 };
	pthread_t server;
	size_t rest = 0;

	open_pair(PAGE_COMMAND_NARROW);
	assert_int_equal(lazy_link_resync(&pair.link, known[0], 50, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_true(lazy_link_is_open(&pair.link));
	for (int i = 0; i < 3; i++) {
		struct page_command command;

		heard(&command);
		command.id = PAGE_COMMAND_ADD_FLAGS;
		command.flags = PAGEMAP_PRESENT;
		answer(&command, i, SIZE_MAX);
	}
	pthread_create(&server, NULL, answer_marks, &rest);
	err = (struct error){ 0 };
	assert_int_equal(lazy_link_resync(&pair.link, known[1], 5000, &err), 0);
	pthread_join(server, NULL);
	close_pair();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_test_narrow),
		cmocka_unit_test(link_test_wide),
		cmocka_unit_test(link_test_in_pieces),
		cmocka_unit_test(link_test_wrong),
		cmocka_unit_test(link_test_unasked),
		cmocka_unit_test(link_test_lost),
		cmocka_unit_test(link_test_finish),
		cmocka_unit_test(link_test_abort),
		cmocka_unit_test(link_test_resync),
		cmocka_unit_test(link_test_resync_lost),
		cmocka_unit_test(link_test_resync_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
