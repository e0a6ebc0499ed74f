// SPDX-License-Identifier: GPL-2.0
/* A destination that connects gets the three connections of the migration that waits there, or none. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include "dest/from.h"
#include "tests/test_dir.h"

#define LINK_NR	3

static const uint8_t ours[CONN_ID_BYTES] = "a migration";
static const struct tls_keys plain;

/** struct kit - @answers: what the waiting end says it is; @calls: the preambles that it got */
struct kit {
	struct test_dir dir;
	char where[64];
	int listen_fd;
	enum conn_kind answers;
	struct conn_preamble calls[LINK_NR];
	struct conn conns[LINK_NR];
	size_t nr;
	pthread_t thread;
	struct door door;
	struct error err;
};

static void *wait_there(void *arg)
{
	struct kit *kit = arg;
	struct error err = { 0 };

	while (kit->nr < LINK_NR) {
		struct conn *conn = &kit->conns[kit->nr];

		*conn = (struct conn){ .fd = accept4(kit->listen_fd, NULL, NULL, SOCK_CLOEXEC) };
		if (conn->fd < 0)
			break;
		conn_read(conn, &kit->calls[kit->nr], sizeof(*kit->calls), 5000, &err);
		if (kit->nr++)
			continue;
		conn->kind = kit->answers;
		conn_introduce(conn, ours, &err);
	}
	return NULL;
}

static void connect_there(struct kit *kit, int want)
{
	assert_int_equal(pthread_create(&kit->thread, NULL, wait_there, kit), 0);
	assert_int_equal(from_connect(&kit->door, kit->where, &plain, &kit->err), want);
	if (want)
		shutdown(kit->listen_fd, SHUT_RDWR);
	pthread_join(kit->thread, NULL);
}

static int set_up(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));

	*state = kit;
	dir_make(&kit->dir);
	snprintf(kit->where, sizeof(kit->where), "unix:%s/socket", kit->dir.path);
	kit->answers = CONN_CONTROL;
	door_give(&kit->door, NULL, 0, &plain);
	kit->listen_fd = conn_listen(kit->where, &kit->err);
	return kit->listen_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct kit *kit = *state;

	door_close(&kit->door);
	while (kit->nr)
		conn_close(&kit->conns[--kit->nr]);
	close(kit->listen_fd);
	dir_remove(&kit->dir);
	free(kit);
	return 0;
}

static void three_callers_of_one_migration(void **state)
{
	static const enum conn_kind kinds[LINK_NR] = { CONN_CONTROL, CONN_MEMORY, CONN_URGENT };
	static const uint8_t none[CONN_ID_BYTES];
	struct kit *kit = *state;

	connect_there(kit, 0);
	assert_int_equal(door_nr_callers(&kit->door), LINK_NR);
	for (size_t i = 0; i < LINK_NR; i++) {
		const struct caller *caller = &kit->door.callers[i];
		char byte;

		assert_int_equal(conn_check_preamble(&kit->calls[i], &kit->err), 0);
		assert_int_equal(kit->calls[i].kind, kinds[i]);
		assert_memory_equal(kit->calls[i].id, i ? ours : none, CONN_ID_BYTES);
		assert_int_equal(caller->got, sizeof(caller->preamble));
		assert_int_equal(caller->preamble.kind, kinds[i]);
		assert_memory_equal(caller->preamble.id, ours, CONN_ID_BYTES);
		assert_int_equal(conn_write(&kit->conns[i], &"cmu"[i], 1, 5000, &kit->err), 0);
		assert_int_equal(conn_read(&caller->conn, &byte, 1, 5000, &kit->err), 0);
		assert_int_equal(byte, "cmu"[i]);
	}
}

/* Whoever waits there is no source: no connection stays. */
static void what_waits_is_no_source(void **state)
{
	struct kit *kit = *state;
	char byte;

	kit->answers = CONN_MEMORY;
	connect_there(kit, -1);
	assert_int_equal(kit->err.code, CODE_PEER);
	assert_non_null(strstr(kit->err.what, kit->where));
	assert_int_equal(kit->nr, 1);
	assert_int_equal(recv(kit->conns[0].fd, &byte, 1, MSG_DONTWAIT), 0);
	assert_int_equal(door_nr_callers(&kit->door), 0);
}

static void nobody_waits(void **state)
{
	struct kit *kit = *state;

	close(kit->listen_fd);
	kit->listen_fd = -1;
	assert_int_equal(from_connect(&kit->door, kit->where, &plain, &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_NETWORK);
	assert_int_equal(door_nr_callers(&kit->door), 0);
}

#define CASE(test)	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(three_callers_of_one_migration), CASE(what_waits_is_no_source), CASE(nobody_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
