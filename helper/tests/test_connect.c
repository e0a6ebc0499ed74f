// SPDX-License-Identifier: GPL-2.0
/* The connections of a migration: three, with one id, and Hello on the first. */
#define _GNU_SOURCE
#include <endian.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "source/connect.h"

#define LATER_MS	60000
#define CONNS_MAX	8

/**
 * struct kit - a destination that takes connections one after another
 * @version: of its Hello; 0: it sends no Hello, and hangs up
 * @takes: so many connections; then it listens no more
 * @streams: of its Hello; 0: it knows of none
 * @kinds, @ids, @indexes, @counts: of the preambles that came
 */
struct kit {
	char where[64];
	int listener;
	uint32_t version, streams;
	size_t takes, nr;
	uint8_t id[CONN_ID_BYTES], kinds[CONNS_MAX], ids[CONNS_MAX][CONN_ID_BYTES];
	uint8_t indexes[CONNS_MAX], counts[CONNS_MAX];
	int fds[CONNS_MAX];
	struct control *dest;
	pthread_t thread;
	struct link_set links;
	struct error err;
};

static struct kit *kit;

static void say_hello(void)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT, *got;
	Migrate__Hello hello = MIGRATE__HELLO__INIT;
	struct error err = { 0 };

	got = control_expect(kit->dest, MIGRATE__CONTROL__BODY_HELLO, LATER_MS, &err);
	if (!got)
		return;
	migrate__control__free_unpacked(got, NULL);
	hello.version = kit->version;
	hello.software = "test";
	hello.hostname = "there";
	hello.has_streams = kit->streams;
	hello.streams = kit->streams;
	msg.body_case = MIGRATE__CONTROL__BODY_HELLO;
	msg.hello = &hello;
	control_send(kit->dest, &msg, &err);
}

static int take_one(void)
{
	struct pollfd listener = { .fd = kit->listener, .events = POLLIN };
	struct conn conn = { .kind = CONN_CONTROL };
	struct conn_preamble pre;
	struct error err = { 0 };

	if (poll(&listener, 1, LATER_MS) != 1)
		return -1;
	conn.fd = accept(kit->listener, NULL, NULL);
	if (conn.fd < 0 || conn_read(&conn, &pre, sizeof(pre), LATER_MS, &err) ||
	    conn_check_preamble(&pre, &err))
		return -1;
	kit->kinds[kit->nr] = pre.kind;
	kit->indexes[kit->nr] = pre.index;
	kit->counts[kit->nr] = pre.streams;
	memcpy(kit->ids[kit->nr], pre.id, CONN_ID_BYTES);
	kit->fds[kit->nr++] = conn.fd;
	if (pre.kind != CONN_CONTROL)
		return 0;
	if (!kit->version) {
		close(conn.fd);
		kit->fds[0] = -1;
		return 0;
	}
	kit->fds[0] = -1;
	kit->dest = control_new(&conn, COURSE_DEST, &err);
	say_hello();
	return 0;
}

static void *take_all(void *arg)
{
	while (kit->nr < kit->takes && !take_one())
		;
	close(kit->listener);
	return NULL;
}

static void start(uint32_t version, size_t takes)
{
	kit->version = version;
	kit->takes = takes;
	snprintf(kit->where, sizeof(kit->where), "unix:/tmp/test-connect-%d", getpid());
	kit->listener = conn_listen(kit->where, &kit->err);
	assert_true(kit->listener >= 0);
	assert_int_equal(pthread_create(&kit->thread, NULL, take_all, NULL), 0);
}

static const struct tls_keys plain;

static int connect_it(void)
{
	int ret = connect_all(&kit->links, &(struct connect_way){ .where = kit->where }, kit->id, &plain,
			      &kit->err);

	pthread_join(kit->thread, NULL);
	return ret;
}

static int set_up(void **state)
{
	kit = calloc(1, sizeof(*kit));
	link_set_init(&kit->links, 1);
	for (size_t i = 0; i < CONN_ID_BYTES; i++)
		kit->id[i] = 17 * i + 1;
	for (size_t i = 0; i < CONNS_MAX; i++)
		kit->fds[i] = -1;
	return 0;
}

/* Also what a failure left half made. */
static int tear_down(void **state)
{
	link_set_close(&kit->links);
	if (kit->dest)
		control_close(kit->dest);
	for (size_t i = 0; i < CONNS_MAX; i++)
		if (kit->fds[i] >= 0)
			close(kit->fds[i]);
	unlink(kit->where + strlen("unix:"));
	free(kit);
	return 0;
}

static void three_connections_have_one_id(void **state)
{
	static const uint8_t kinds[] = { CONN_CONTROL, CONN_MEMORY, CONN_URGENT };

	start(PROTOCOL_VERSION, 3);
	assert_int_equal(connect_it(), 0);
	assert_int_equal(kit->nr, 3);
	assert_memory_equal(kit->kinds, kinds, 3);
	for (size_t i = 0; i < 3; i++)
		assert_memory_equal(kit->ids[i], kit->id, CONN_ID_BYTES);
	assert_non_null(kit->links.ctl);
	assert_true(conn_is_open(&kit->links.memory[0]) && conn_is_open(&kit->links.urgent));
	assert_int_equal(control_phase(kit->links.ctl), PHASE_SETUP);
}

/* Refused with its name and both numbers, before memory is connected. */
static void another_version_is_refused(void **state)
{
	start(PROTOCOL_VERSION + 1, 1);
	assert_int_equal(connect_it(), -1);
	assert_int_equal(kit->err.code, CODE_PEER);
	assert_non_null(strstr(kit->err.what, "there"));
	assert_non_null(strstr(kit->err.hint, "same version"));
	assert_false(conn_is_open(&kit->links.memory[0]));
}

/* Each stream says its number, and how many there are. */
static void streams_are_numbered(void **state)
{
	link_set_init(&kit->links, 3);
	kit->streams = STREAMS_MAX;
	start(PROTOCOL_VERSION, 5);
	assert_int_equal(connect_it(), 0);
	assert_int_equal(kit->nr, 5);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(kit->kinds[1 + i], CONN_MEMORY);
		assert_int_equal(kit->indexes[1 + i], i);
		assert_int_equal(kit->counts[1 + i], 3);
		assert_true(conn_is_open(&kit->links.memory[i]));
	}
	assert_int_equal(kit->kinds[4], CONN_URGENT);
}

/* An earlier version says nothing of streams: it gets no second one. */
static void a_destination_without_streams_is_refused(void **state)
{
	link_set_init(&kit->links, 2);
	start(PROTOCOL_VERSION, 1);
	assert_int_equal(connect_it(), -1);
	assert_int_equal(kit->err.code, CODE_PEER);
	assert_non_null(strstr(kit->err.what, "there (test) takes 1 memory stream, and --streams says 2"));
	assert_non_null(strstr(kit->err.hint, "--streams"));
	assert_false(conn_is_open(&kit->links.memory[0]));
}

static void nobody_listens(void **state)
{
	snprintf(kit->where, sizeof(kit->where), "unix:/tmp/test-connect-%d", getpid());
	assert_int_equal(connect_all(&kit->links, &(struct connect_way){ .where = kit->where }, kit->id, &plain,
			      &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_NETWORK);
	assert_null(kit->links.ctl);
}

static void one_that_hangs_up_is_lost(void **state)
{
	start(0, 1);
	assert_int_equal(connect_it(), -1);
	assert_int_equal(kit->err.code, CODE_NETWORK);
}

#define KIT_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(three_connections_have_one_id),
		KIT_TEST(streams_are_numbered),
		KIT_TEST(a_destination_without_streams_is_refused), KIT_TEST(another_version_is_refused),
		KIT_TEST(nobody_listens), KIT_TEST(one_that_hangs_up_is_lost),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
