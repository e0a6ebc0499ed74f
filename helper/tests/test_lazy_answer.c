// SPDX-License-Identifier: GPL-2.0
/* What a lazy-pages gets of a held dump, in both forms, and what it does not get. */
#define _GNU_SOURCE
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "criu/pagemap.h"
#include "services/lazy_answer.h"
#include "tests/fake_backend.h"

#define TASK	77
#define WAIT_MS	20000

/** struct bench - one connection; @far: lazy-pages' end; @criu: CRIU's end of the other connection */
static struct bench {
	struct lazy_dump dump;
	struct lazy_dump_task task;
	struct fake fake;
	struct lazy_answer answer;
	atomic_ulong given;
	int far, criu;
} bench;

static void set_up(size_t form)
{
	struct error err = { 0 };
	int pair[2], criu[2];

	memset(&bench, 0, sizeof(bench));
	fake_init(&bench.fake);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, criu), 0);
	bench.task = (struct lazy_dump_task){ .pid = 4711, .image_pid = TASK, .backend = &bench.fake.backend };
	assert_int_equal(page_set_add(&bench.task.lazy, AT(10), 20, &err), 0);
	bench.dump = (struct lazy_dump){ .tasks = &bench.task, .nr = 1, .form = form, .link.fd = criu[0] };
	bench.criu = criu[1];
	bench.far = pair[1];
	bench.answer = (struct lazy_answer){
		.stream.fd = pair[0], .dump = &bench.dump, .given = &bench.given,
		.wake_fd = eventfd(0, EFD_CLOEXEC),
	};
	assert_int_equal(lazy_answer_start(&bench.answer, &err), 0);
}

static void take_down(void)
{
	shutdown(bench.far, SHUT_RDWR);
	lazy_answer_join(&bench.answer);
	lazy_answer_free(&bench.answer);
	close(bench.answer.wake_fd);
	close(bench.far);
	close(bench.criu);
	close(bench.dump.link.fd);
	page_set_destroy(&bench.task.lazy);
}

static void say(uint32_t id, uint64_t addr, uint64_t nr_pages, uint64_t target)
{
	const struct page_command command = { .id = id, .addr = addr, .nr_pages = nr_pages, .target = target };
	uint8_t raw[PAGE_COMMAND_WIDE];
	size_t bytes = page_command_put(raw, bench.dump.form, &command);

	assert_int_equal(send(bench.far, raw, bytes, 0), bytes);
}

/* Return: number of pages that came, which are those from @first on; 0: the connection has ended */
static uint64_t hear(uint64_t first)
{
	uint8_t raw[PAGE_COMMAND_WIDE], page[PAGE_BYTES];
	struct page_command head;

	if (recv(bench.far, raw, bench.dump.form, MSG_WAITALL) != (ssize_t)bench.dump.form)
		return 0;
	page_command_get(raw, bench.dump.form, &head);
	assert_int_equal(head.id, PAGE_COMMAND_ADD_FLAGS);
	assert_int_equal(head.flags, PAGEMAP_PRESENT);
	assert_int_equal(head.addr, AT(first));
	assert_int_equal(head.target, TASK);
	for (uint64_t i = 0; i < head.nr_pages; i++) {
		uint64_t number;

		assert_int_equal(recv(bench.far, page, PAGE_BYTES, MSG_WAITALL), PAGE_BYTES);
		memcpy(&number, page, sizeof(number));
		assert_int_equal(number, first + i);
	}
	return head.nr_pages;
}

static void wait_for_owner(void)
{
	struct pollfd pfd = { .fd = bench.answer.wake_fd, .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
}

static void gives(size_t form)
{
	set_up(form);
	say(PAGE_COMMAND_GET, AT(10), 4, TASK);
	say(PAGE_COMMAND_GET, AT(25), 64, TASK);
	assert_int_equal(hear(10), 4);
	/* what was not left out ends the answer */
	assert_int_equal(hear(25), 5);
	take_down();
	assert_int_equal(bench.given, 9);
	assert_int_equal(bench.answer.gave, 9);
	assert_int_equal(bench.answer.said, LAZY_SAID_NOTHING);
	assert_int_equal(bench.answer.err.code, CODE_NETWORK);
}

static void answer_test_gives(void **state)
{
	gives(PAGE_COMMAND_NARROW);
	gives(PAGE_COMMAND_WIDE);
}

static void refuses(uint64_t addr, uint64_t nr_pages, uint64_t target)
{
	set_up(PAGE_COMMAND_WIDE);
	say(PAGE_COMMAND_GET, addr, nr_pages, target);
	assert_int_equal(hear(0), 0);
	take_down();
	assert_int_equal(bench.given, 0);
	assert_int_equal(bench.answer.err.code, CODE_PEER);
}

static void answer_test_refuses(void **state)
{
	refuses(AT(9), 4, TASK);
	refuses(AT(30), 1, TASK);
	refuses(AT(10) + 8, 1, TASK);
	refuses(AT(10), 0, TASK);
	refuses(AT(10), 1, TASK + 1);
	refuses(AT(10), 1, 1ULL << 32 | TASK);
	refuses(1ULL << 63, UINT64_MAX, TASK);
}

/* CRIU has ended: what the program has now is not what was dumped. */
static void answer_test_runs_again(void **state)
{
	set_up(PAGE_COMMAND_NARROW);
	say(PAGE_COMMAND_GET, AT(10), 1, TASK);
	assert_int_equal(hear(10), 1);
	shutdown(bench.criu, SHUT_WR);
	say(PAGE_COMMAND_GET, AT(11), 1, TASK);
	assert_int_equal(hear(11), 0);
	take_down();
	assert_int_equal(bench.answer.err.code, CODE_CRIU);
}

static void answer_test_unreadable(void **state)
{
	set_up(PAGE_COMMAND_NARROW);
	bench.fake.unreadable = 12;
	say(PAGE_COMMAND_GET, AT(10), 8, TASK);
	assert_int_equal(hear(10), 2);
	say(PAGE_COMMAND_GET, AT(12), 6, TASK);
	assert_int_equal(hear(12), 0);
	take_down();
	assert_int_equal(bench.answer.err.code, CODE_TARGET);
}

static void answer_test_close(void **state)
{
	for (int32_t status = -1; status <= 0; status++) {
		int32_t heard = 1;

		set_up(PAGE_COMMAND_NARROW);
		say(PAGE_COMMAND_CLOSE, 0, 0, 0);
		wait_for_owner();
		assert_int_equal(bench.answer.said, LAZY_SAID_CLOSE);
		lazy_answer_settle(&bench.answer, status);
		assert_int_equal(recv(bench.far, &heard, sizeof(heard), MSG_WAITALL), sizeof(heard));
		assert_int_equal(heard, status);
		take_down();
		assert_int_equal(bench.answer.err.code, status ? CODE_PEER : CODE_OK);
	}
}

/* A CLOSE that nobody has settled when all ends is no success. */
static void answer_test_cut(void **state)
{
	set_up(PAGE_COMMAND_NARROW);
	say(PAGE_COMMAND_CLOSE, 0, 0, 0);
	wait_for_owner();
	lazy_answer_cut(&bench.answer);
	take_down();
	assert_int_not_equal(bench.answer.err.code, CODE_OK);
}

static void answer_test_abort(void **state)
{
	set_up(PAGE_COMMAND_NARROW);
	say(0, 0, 0, 0);
	wait_for_owner();
	take_down();
	assert_int_equal(bench.answer.said, LAZY_SAID_ABORT);
	/* and another command that is not known is none */
	set_up(PAGE_COMMAND_NARROW);
	say(99, 0, 0, 0);
	assert_int_equal(hear(0), 0);
	take_down();
	assert_int_equal(bench.answer.said, LAZY_SAID_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answer_test_gives),
		cmocka_unit_test(answer_test_refuses),
		cmocka_unit_test(answer_test_runs_again),
		cmocka_unit_test(answer_test_unreadable),
		cmocka_unit_test(answer_test_close),
		cmocka_unit_test(answer_test_cut),
		cmocka_unit_test(answer_test_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
