// SPDX-License-Identifier: GPL-2.0
/* A failure at the source: who comes back, and what the destination is told. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/failure.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"

#define LATER_MS	10000

struct bench {
	struct mailbox box;
	struct link_set links;
	struct source_failure failure;
	struct control *dest;
	int memory, urgent;	/* the destination's ends */
	struct error err;
};

static int socket_for(struct conn *conn)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	*conn = (struct conn){ .fd = pair[0] };
	return pair[1];
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	mailbox_init(&bench->box, "the destination");
	link_set_init(&bench->links, 1);
	source_failure_init(&bench->failure, &bench->box);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	bench->links.ctl = control_new(CONN(pair[0]), COURSE_SOURCE, &bench->err);
	bench->dest = control_new(CONN(pair[1]), COURSE_DEST, &bench->err);
	bench->memory = socket_for(&bench->links.memory[0]);
	bench->urgent = socket_for(&bench->links.urgent);
	source_failure_connected(&bench->failure, &bench->links);
	return walk_to(bench->links.ctl, bench->dest, PHASE_PRECOPY, &bench->err);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	link_set_close(&bench->links);
	control_close(bench->dest);
	close(bench->memory);
	close(bench->urgent);
	mailbox_destroy(&bench->box);
	free(bench);
	return 0;
}

/* The source's end was shut down. */
static bool is_shut(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void raise_code(struct bench *bench, enum exit_code code)
{
	const struct error why = { .code = code, .what = "this is a test" };

	failure_raise(&bench->failure.first, &why);
}

static void a_failure_is_told(void **state)
{
	struct bench *bench = *state;

	assert_false(is_shut(bench->memory));
	raise_code(bench, CODE_TARGET);
	assert_true(is_shut(bench->memory));
	assert_true(is_shut(bench->urgent));
	assert_null(control_recv(bench->dest, LATER_MS, &bench->err));
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_non_null(strstr(bench->err.what, "this is a test"));
}

/* The destination has its own word for a link that was lost. */
static void a_lost_link_is_not_told(void **state)
{
	struct bench *bench = *state;

	raise_code(bench, CODE_NETWORK);
	assert_true(is_shut(bench->memory));
	assert_null(control_recv(bench->dest, 300, &bench->err));
	assert_int_equal(bench->err.code, CODE_NETWORK);
}

static void the_first_one_counts(void **state)
{
	struct bench *bench = *state;

	raise_code(bench, CODE_TARGET);
	raise_code(bench, CODE_CRIU);
	bench->err.code = CODE_NETWORK;
	source_failure_reason(&bench->failure, &bench->err);
	assert_int_equal(bench->err.code, CODE_TARGET);
}

static void what_undoes_is_none_after_commit(void **state)
{
	const struct error why = { .code = CODE_ABORTED, .what = "this is a test" };
	struct bench *bench = *state;

	assert_int_equal(mailbox_commit(&bench->box, CODE_OK, &bench->err), 0);
	assert_false(failure_raise_unless_committed(&bench->failure.first, &why, true));
	assert_false(is_shut(bench->memory));
	assert_int_equal(mailbox_failed(&bench->box, &bench->err), 0);
	/* the program's end is one: the destination hears of it by its connections */
	assert_true(failure_raise_unless_committed(&bench->failure.first, &why, false));
	assert_true(is_shut(bench->memory));
	assert_null(control_recv(bench->dest, 300, &bench->err));
	assert_int_equal(bench->err.code, CODE_NETWORK);
}

/* A CRIU that dumps lets the program go when its socket hangs up. */
static void a_dump_is_ended(void **state)
{
	struct bench *bench = *state;
	struct conn rpc;
	int criu = socket_for(&rpc);

	source_failure_watch_rpc(&bench->failure, rpc.fd);
	assert_false(is_shut(criu));
	raise_code(bench, CODE_ABORTED);
	assert_true(is_shut(criu));
	close(criu);
	conn_close(&rpc);
}

static void a_dump_that_begins_later_is_ended(void **state)
{
	struct bench *bench = *state;
	struct conn rpc;
	int criu = socket_for(&rpc);

	raise_code(bench, CODE_ABORTED);
	source_failure_watch_rpc(&bench->failure, rpc.fd);
	assert_true(is_shut(criu));
	close(criu);
	conn_close(&rpc);
}

static void a_criu_that_is_held_is_not(void **state)
{
	struct bench *bench = *state;
	struct conn rpc;
	int criu = socket_for(&rpc);

	source_failure_watch_rpc(&bench->failure, rpc.fd);
	source_failure_watch_rpc(&bench->failure, -1);
	raise_code(bench, CODE_ABORTED);
	assert_false(is_shut(criu));
	close(criu);
	conn_close(&rpc);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(a_failure_is_told), BENCH_TEST(a_lost_link_is_not_told),
		BENCH_TEST(the_first_one_counts), BENCH_TEST(what_undoes_is_none_after_commit),
		BENCH_TEST(a_dump_is_ended), BENCH_TEST(a_dump_that_begins_later_is_ended),
		BENCH_TEST(a_criu_that_is_held_is_not),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
