// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "wire/conn.h"
#include "wire/control.h"

struct ends {
	struct control *a, *b;
	int raw;	/* the other end of @b where there is no @a */
};

static void greet(struct control *from, struct control *to)
{
	struct error err = { 0 };
	Migrate__Control *msg;

	assert_int_equal(control_send_hello(from, &err), 0);
	msg = control_expect(to, MIGRATE__CONTROL__BODY_HELLO, 1000, &err);
	assert_non_null(msg);
	migrate__control__free_unpacked(msg, NULL);
}

static void open_both(struct ends *ends)
{
	struct error err = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	ends->a = control_new(fd[0], &err);
	ends->b = control_new(fd[1], &err);
	assert_non_null(ends->a);
	assert_non_null(ends->b);
	greet(ends->a, ends->b);
}

static void open_tcp(int fd[2])
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd[0], (struct sockaddr *)&addr, len), 0);
	fd[1] = accept(listener, NULL, NULL);
	assert_true(fd[1] >= 0);
	close(listener);
}

static void open_raw(struct ends *ends)
{
	struct error err = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	ends->raw = fd[0];
	ends->b = control_new(fd[1], &err);
	assert_non_null(ends->b);
}

static void send_round(struct control *ctl, uint32_t round)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__RoundAck ack = MIGRATE__ROUND_ACK__INIT;
	struct error err = { 0 };

	ack.round = round;
	msg.body_case = MIGRATE__CONTROL__BODY_ROUND_ACK;
	msg.round_ack = &ack;
	assert_int_equal(control_send(ctl, &msg, &err), 0);
}

/* A heartbeat, alone: its length and a body of three bytes. */
static void read_heartbeat(int fd)
{
	uint8_t buf[7];
	struct error err = { 0 };

	assert_int_equal(conn_read(fd, buf, sizeof(buf), 0, &err), 0);
	assert_int_equal(buf[0], 3);
}

static void a_short_patience_beats_more_often(void **state)
{
	struct error err = { 0 };
	unsigned int timeout = 0;
	socklen_t len = sizeof(timeout);
	struct control *ctl;
	struct timespec begin, end;
	int fd[2];

	(void)state;
	open_tcp(fd);
	ctl = control_new(fd[1], &err);
	assert_non_null(ctl);
	control_set_lost(ctl, 400);
	/* it would end a connection whose peer reads slowly */
	assert_int_equal(getsockopt(fd[1], IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &len), 0);
	assert_int_equal(timeout, 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 20; i++)
		read_heartbeat(fd[0]);
	clock_gettime(CLOCK_MONOTONIC, &end);
	/* 2 s when they come as often as they must, 20 s as they come else */
	assert_true(end.tv_sec - begin.tv_sec < 15);
	control_set_lost(ctl, 0);
	control_close(ctl);
	close(fd[0]);
}

static void messages_come_through(void **state)
{
	struct ends ends;
	struct error err = { 0 };
	Migrate__Control *msg;

	open_both(&ends);
	send_round(ends.a, 5);
	msg = control_expect(ends.b, MIGRATE__CONTROL__BODY_ROUND_ACK, 1000, &err);
	assert_non_null(msg);
	assert_int_equal(msg->round_ack->round, 5);
	migrate__control__free_unpacked(msg, NULL);
	control_close(ends.a);
	assert_null(control_recv(ends.b, 1000, &err));
	assert_int_equal(err.code, CODE_NETWORK);
	control_close(ends.b);
}

static void another_message(void **state)
{
	struct ends ends;
	struct error err = { 0 };

	open_both(&ends);
	send_round(ends.a, 5);
	assert_null(control_expect(ends.b, MIGRATE__CONTROL__BODY_READY, 1000, &err));
	assert_int_equal(err.code, CODE_PEER);
	control_close(ends.a);
	control_close(ends.b);
}

static void heartbeats_are_dropped(void **state)
{
	struct ends ends;
	struct error err = { 0 };

	open_both(&ends);
	/* long enough for one from the other side, and no message */
	assert_null(control_recv(ends.b, 1200, &err));
	assert_int_equal(err.code, CODE_NETWORK);
	assert_non_null(strstr(err.what, "1200 ms"));
	control_close(ends.a);
	control_close(ends.b);
}

static void abort_says_why(void **state)
{
	struct error why = { .code = CODE_CRIU, .what = "the stars" }, err = { 0 };
	struct ends ends;

	open_both(&ends);
	control_send_abort(ends.a, &why);
	assert_null(control_recv(ends.b, 1000, &err));
	assert_int_equal(err.code, CODE_PEER);
	assert_non_null(strstr(err.what, "the stars"));
	why.code = CODE_VERIFY;
	memset(&err, 0, sizeof(err));
	control_send_abort(ends.a, &why);
	assert_null(control_recv(ends.b, 1000, &err));
	assert_int_equal(err.code, CODE_VERIFY);
	control_close(ends.a);
	control_close(ends.b);
}

static void shutdown_wakes(void **state)
{
	struct ends ends;
	struct error err = { 0 };

	open_both(&ends);
	control_shutdown(ends.b);
	assert_null(control_recv(ends.b, -1, &err));
	assert_int_equal(err.code, CODE_NETWORK);
	control_close(ends.a);
	control_close(ends.b);
}

static void refused(const void *bytes, size_t nr, enum exit_code code)
{
	struct ends ends;
	struct error err = { 0 };

	open_raw(&ends);
	assert_int_equal(conn_write(ends.raw, bytes, nr, 1000, &err), 0);
	shutdown(ends.raw, SHUT_WR);
	assert_null(control_recv(ends.b, 1000, &err));
	assert_int_equal(err.code, code);
	close(ends.raw);
	control_close(ends.b);
}

static void malformed(void **state)
{
	refused("\xff\xff\xff\xff\x0a\0", 6, CODE_PEER);
	refused("\0\0\x80\0\x0a\0", 6, CODE_PEER);		/* Hello of 8 MiB */
	refused("\1\x10\0\0\x0a\0", 6, CODE_PEER);		/* of 4097 bytes */
	refused("\0\x10\0\0\x0a\0", 6, CODE_NETWORK);		/* of 4096 that do not come */
	refused("\0\0\x10\0\x12\0", 6, CODE_PEER);		/* Setup before Hello */
	refused("\0\0\x10\0\x9a\1", 6, CODE_PEER);		/* Heartbeat of 1 MiB */
	refused("\0\0\x10\0\x92\1", 6, CODE_PEER);		/* Abort of 1 MiB */
	refused("\1", 1, CODE_NETWORK);
	refused("\0\0\0\0", 4, CODE_PEER);			/* no body */
	refused("\3\0\0\0\xff\xff\xff", 7, CODE_PEER);
	refused("\2\0\0\0\x0a\x05", 6, CODE_PEER);		/* Hello that is cut off */
	refused("\2\0\0\0\x0a\0", 6, CODE_PEER);		/* Hello without its fields */
	refused("\4\0\0\0\xfa\x3f\1x", 8, CODE_PEER);		/* a body of a later version */
}

/* What may follow a Hello, and how long; @most 0: nothing may. */
static void longest(struct ends *ends, uint8_t tag, uint32_t bytes, enum exit_code code)
{
	uint8_t head[] = { bytes, bytes >> 8, bytes >> 16, bytes >> 24, tag, 0 };
	struct error err = { 0 };

	open_raw(ends);
	assert_int_equal(conn_write(ends->raw, "\x15\0\0\0\x0a\x13\x08\1\x12\1a\x22\x0c"
				    "abcdefghijkl", 25, 1000, &err), 0);
	migrate__control__free_unpacked(control_expect(ends->b, MIGRATE__CONTROL__BODY_HELLO, 1000,
						       &err), NULL);
	if (ends->a)
		control_from_dest(ends->b);
	assert_int_equal(conn_write(ends->raw, head, sizeof(head), 1000, &err), 0);
	shutdown(ends->raw, SHUT_WR);
	assert_null(control_recv(ends->b, 1000, &err));
	assert_int_equal(err.code, code);
	close(ends->raw);
	control_close(ends->b);
}

static void each_kind_has_its_length(void **state)
{
	struct ends ends = { 0 }, from_dest = { .a = (void *)1 };

	longest(&ends, 0x12, CONTROL_MAX_BYTES, CODE_NETWORK);		/* Setup */
	longest(&ends, 0x12, CONTROL_MAX_BYTES + 1, CODE_PEER);
	longest(&ends, 0x0a, 10, CODE_PEER);				/* a second Hello */
	longest(&ends, 0x2a, 1025, CODE_PEER);				/* RoundBegin */
	longest(&ends, 0x4a, 2 << 20, CODE_PEER);			/* ImageFile */
	longest(&ends, 0x62, 1 << 20, CODE_PEER);			/* Digests */
	longest(&from_dest, 0x12, 10, CODE_PEER);
	longest(&from_dest, 0x22, 10, CODE_PEER);			/* Maps */
	longest(&from_dest, 0x1a, 1 << 20, CODE_PEER);			/* SetupReply */
}

static void noise(void **state)
{
	srand(3);
	for (int i = 0; i < 300; i++) {
		struct error err = { 0 };
		Migrate__Control *msg;
		struct ends ends;
		uint8_t buf[64];

		for (size_t j = 0; j < sizeof(buf); j++)
			buf[j] = rand() % 3 ? rand() % 20 : rand();
		memcpy(buf, "\74\0\0\0", 4);
		buf[4] = rand() % 20 << 3 | 2;
		if (buf[4] >= 128)
			buf[5] = 1;
		open_raw(&ends);
		assert_int_equal(conn_write(ends.raw, buf, sizeof(buf), 1000, &err), 0);
		shutdown(ends.raw, SHUT_WR);
		msg = control_recv(ends.b, 1000, &err);
		assert_true(msg || error_is_set(&err));
		if (msg)
			migrate__control__free_unpacked(msg, NULL);
		close(ends.raw);
		control_close(ends.b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_through),
		cmocka_unit_test(a_short_patience_beats_more_often), cmocka_unit_test(another_message),
		cmocka_unit_test(heartbeats_are_dropped), cmocka_unit_test(abort_says_why),
		cmocka_unit_test(shutdown_wakes), cmocka_unit_test(malformed),
		cmocka_unit_test(each_kind_has_its_length), cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
