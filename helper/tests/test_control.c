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
#include "tests/conn_fd.h"
#include "wire/conn.h"
#include "wire/control.h"

struct ends {
	struct control *a, *b;
	int raw;	/* the other end of @b where there is no @a */
};

static void open_both(struct ends *ends)
{
	struct error err = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	ends->a = control_new(CONN(fd[0]), COURSE_DEST, &err);
	ends->b = control_new(CONN(fd[1]), COURSE_SOURCE, &err);
	assert_non_null(ends->a);
	assert_non_null(ends->b);
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
	ends->b = control_new(CONN(fd[1]), COURSE_SOURCE, &err);
	assert_non_null(ends->b);
}

static void expect(struct control *ctl, Migrate__Control__BodyCase body)
{
	struct error err = { 0 };
	Migrate__Control *msg = control_expect(ctl, body, 5000, &err);

	assert_non_null(msg);
	migrate__control__free_unpacked(msg, NULL);
}

static void greet(struct ends *ends)
{
	struct error err = { 0 };

	assert_int_equal(control_send_hello(ends->a, 1, &err), 0);
	assert_int_equal(control_send_hello(ends->b, STREAMS_MAX, &err), 0);
	expect(ends->a, MIGRATE__CONTROL__BODY_HELLO);
	expect(ends->b, MIGRATE__CONTROL__BODY_HELLO);
}

/* What opens a phase and has no more to say than that. */
static int send_bare(struct control *ctl, Migrate__Control__BodyCase body, struct error *err)
{
	Migrate__Started started = MIGRATE__STARTED__INIT;
	Migrate__Commit commit = MIGRATE__COMMIT__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;

	msg.body_case = body;
	if (body == MIGRATE__CONTROL__BODY_COMMIT)
		msg.commit = &commit;
	else
		msg.started = &started;
	return control_send(ctl, &msg, err);
}

/* A heartbeat, alone: its length and a body of three bytes. */
static void read_heartbeat(int fd)
{
	uint8_t buf[7];
	struct error err = { 0 };

	assert_int_equal(conn_read(CONN(fd), buf, sizeof(buf), 0, &err), 0);
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
	ctl = control_new(CONN(fd[1]), COURSE_SOURCE, &err);
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
	assert_int_equal(control_send_hello(ends.a, 1, &err), 0);
	msg = control_expect(ends.b, MIGRATE__CONTROL__BODY_HELLO, 1000, &err);
	assert_non_null(msg);
	assert_int_equal(msg->hello->version, PROTOCOL_VERSION);
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
	assert_int_equal(control_send_hello(ends.a, 1, &err), 0);
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
	static const enum exit_code codes[] = { CODE_CRIU, CODE_VERIFY };

	for (size_t i = 0; i < 2; i++) {
		struct error why = { .code = codes[i], .what = "the stars" }, err = { 0 };
		struct ends ends;

		open_both(&ends);
		control_send_abort(ends.a, &why, i == 1);
		assert_null(control_recv(ends.b, 1000, &err));
		assert_int_equal(err.code, i ? CODE_VERIFY : CODE_PEER);
		assert_non_null(strstr(err.what, "the stars"));
		assert_int_equal(control_is_unstarted(ends.b), i == 1);
		assert_int_equal(control_phase(ends.b), PHASE_ENDED);
		control_close(ends.a);
		control_close(ends.b);
	}
}

/* A destination that says Started before there was a Commit has the program killed here. */
static void started_before_commit(void **state)
{
	struct error err = { 0 };
	uint8_t started[] = { 2, 0, 0, 0, MIGRATE__CONTROL__BODY_STARTED << 3 | 2, 0 };
	struct ends ends;

	open_raw(&ends);
	assert_int_equal(conn_write(CONN(ends.raw), started, sizeof(started), 1000, &err), 0);
	assert_null(control_recv(ends.b, 1000, &err));
	assert_int_equal(err.code, CODE_PEER);
	assert_non_null(strstr(err.what, "started"));
	close(ends.raw);
	control_close(ends.b);
}

static void nothing_is_sent_out_of_phase(void **state)
{
	struct error err = { 0 };
	struct ends ends;

	open_both(&ends);
	greet(&ends);
	assert_int_equal(control_phase(ends.b), PHASE_SETUP);
	assert_int_equal(send_bare(ends.b, MIGRATE__CONTROL__BODY_COMMIT, &err), -1);
	assert_int_equal(err.code, CODE_INTERNAL);
	memset(&err, 0, sizeof(err));
	assert_int_equal(send_bare(ends.a, MIGRATE__CONTROL__BODY_STARTED, &err), -1);
	assert_int_equal(err.code, CODE_INTERNAL);
	/* neither broke the connection */
	memset(&err, 0, sizeof(err));
	control_send_abort(ends.a, &(struct error){ .code = CODE_CRIU, .what = "x" }, false);
	assert_null(control_recv(ends.b, 1000, &err));
	assert_int_equal(err.code, CODE_PEER);
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
	assert_int_equal(conn_write(CONN(ends.raw), bytes, nr, 1000, &err), 0);
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
		assert_int_equal(conn_write(CONN(ends.raw), buf, sizeof(buf), 1000, &err), 0);
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
		cmocka_unit_test(started_before_commit),
		cmocka_unit_test(nothing_is_sent_out_of_phase),
		cmocka_unit_test(shutdown_wakes), cmocka_unit_test(malformed),
		cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
