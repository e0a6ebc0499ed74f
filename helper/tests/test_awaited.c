// SPDX-License-Identifier: GPL-2.0
/* A source that waits takes the connections of one destination, and turns all others away. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include "source/awaited.h"
#include "tests/test_dir.h"

static const uint8_t none[CONN_ID_BYTES], ours[CONN_ID_BYTES] = "a migration", others[CONN_ID_BYTES] = "another one";
static const struct tls_keys plain;

/** struct kit - @calls: the far ends, in the order in which they called */
struct kit {
	struct test_dir dir;
	char where[64];
	struct awaited awaited;
	struct conn calls[8], conn, memory, urgent;
	size_t nr;
	struct error err;
};

static int set_up(void **state)
{
	struct kit *kit = calloc(1, sizeof(*kit));

	*state = kit;
	dir_make(&kit->dir);
	snprintf(kit->where, sizeof(kit->where), "unix:%s/socket", kit->dir.path);
	kit->conn = CONN_NONE;
	kit->memory = conn_stream(0, 1);
	kit->urgent = (struct conn){ .fd = -1, .kind = CONN_URGENT };
	if (awaited_open(&kit->awaited, kit->where, &plain, &kit->err))
		return -1;
	kit->awaited.streams = 1;
	return 0;
}

static int tear_down(void **state)
{
	struct kit *kit = *state;

	awaited_close(&kit->awaited);
	while (kit->nr)
		conn_close(&kit->calls[--kit->nr]);
	conn_close(&kit->conn);
	conn_close(&kit->memory);
	conn_close(&kit->urgent);
	dir_remove(&kit->dir);
	free(kit);
	return 0;
}

static struct conn *call(struct kit *kit, enum conn_kind kind, const uint8_t *id)
{
	struct conn *conn = &kit->calls[kit->nr++];
	struct tls_peer peer;

	assert_int_equal(tls_link_connect(conn, kit->where, kind, id, &plain, &peer, &kit->err), 0);
	return conn;
}

static bool is_turned_away(const struct conn *conn)
{
	char byte;

	return recv(conn->fd, &byte, 1, MSG_DONTWAIT) <= 0 && errno != EAGAIN;
}

static void the_destination_is_told_the_id(void **state)
{
	struct kit *kit = *state;
	const struct conn *far = call(kit, CONN_CONTROL, none);
	struct conn_preamble pre;

	assert_int_equal(awaited_control(&kit->awaited, &kit->conn, ours, &kit->err), 0);
	assert_int_equal(conn_read(far, &pre, sizeof(pre), 5000, &kit->err), 0);
	assert_int_equal(conn_check_preamble(&pre, &kit->err), 0);
	assert_int_equal(pre.kind, CONN_CONTROL);
	assert_memory_equal(pre.id, ours, CONN_ID_BYTES);
	assert_int_equal(kit->awaited.said, 0);
}

static void strangers_do_not_become_the_destination(void **state)
{
	struct kit *kit = *state;
	struct conn *memory = call(kit, CONN_MEMORY, none), *knows = call(kit, CONN_CONTROL, others);
	struct conn *mute = call(kit, CONN_CONTROL, none), *far;

	/* the third says all, and then is no end any more that could be told the id */
	shutdown(mute->fd, SHUT_RDWR);
	conn_close(mute);
	far = call(kit, CONN_CONTROL, none);
	assert_int_equal(awaited_control(&kit->awaited, &kit->conn, ours, &kit->err), 0);
	assert_true(is_turned_away(memory));
	assert_true(is_turned_away(knows));
	assert_int_equal(conn_write(&kit->conn, "x", 1, 5000, &kit->err), 0);
	assert_false(is_turned_away(far));
	assert_int_equal(kit->awaited.said, 3);
}

static void the_others_are_those_with_the_id(void **state)
{
	struct kit *kit = *state;
	struct conn *alien = call(kit, CONN_URGENT, others), *memory = call(kit, CONN_MEMORY, ours);
	struct conn *again = call(kit, CONN_MEMORY, ours), *control = call(kit, CONN_CONTROL, ours);
	struct conn *urgent = call(kit, CONN_URGENT, ours);
	char byte;

	assert_int_equal(awaited_others(&kit->awaited, &kit->memory, &kit->urgent, ours, &kit->err), 0);
	assert_true(conn_is_open(&kit->memory) && conn_is_open(&kit->urgent));
	assert_true(is_turned_away(alien) && is_turned_away(again) && is_turned_away(control));
	assert_int_equal(conn_write(&kit->memory, "m", 1, 5000, &kit->err), 0);
	assert_int_equal(conn_write(&kit->urgent, "u", 1, 5000, &kit->err), 0);
	assert_int_equal(conn_read(memory, &byte, 1, 5000, &kit->err), 0);
	assert_int_equal(byte, 'm');
	assert_int_equal(conn_read(urgent, &byte, 1, 5000, &kit->err), 0);
	assert_int_equal(byte, 'u');
}

static void nobody_can_call_any_more(void **state)
{
	struct kit *kit = *state;

	shutdown(kit->awaited.fd, SHUT_RDWR);
	assert_int_equal(awaited_control(&kit->awaited, &kit->conn, ours, &kit->err), -1);
	assert_int_equal(kit->err.code, CODE_NETWORK);
}

static void its_socket_goes_with_it(void **state)
{
	struct kit *kit = *state;

	assert_int_equal(access(kit->where + 5, F_OK), 0);
	awaited_close(&kit->awaited);
	assert_int_equal(access(kit->where + 5, F_OK), -1);
	assert_int_equal(kit->awaited.fd, -1);
}

#define CASE(test)	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_destination_is_told_the_id), CASE(strangers_do_not_become_the_destination),
		CASE(the_others_are_those_with_the_id), CASE(nobody_can_call_any_more), CASE(its_socket_goes_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
