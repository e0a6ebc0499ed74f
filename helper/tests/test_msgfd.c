// SPDX-License-Identifier: GPL-2.0
/* A manager's messages: each test has the manager's end in its hand. */
#define _GNU_SOURCE
#include "base/clock.h"
#include "tests/msgfd_kit.h"

static struct msgfd_message msg;

static int recv_all(void)
{
	int got;

	do
		got = msgfd_recv(&msgfd, 100, &msg, &err);
	while (!got);
	return got;
}

static void whole_and_in_pieces(void **state)
{
	static const uint8_t text[] = { 9, 0, 0, 0, 8, 0, 18, 5, 'a', 27, 'b', '\n', 'c' };

	say(good, sizeof(good));
	assert_int_equal(recv_all(), 1);
	assert_int_equal(msg.type, PHAUL_TYPE__SUCCESS);
	assert_int_equal(msg.bytes, 5);
	assert_string_equal(msg.text, "");
	for (size_t i = 0; i < sizeof(text); i++) {
		assert_int_equal(msgfd_recv(&msgfd, 0, &msg, &err), 0);
		say(text + i, 1);
	}
	assert_int_equal(recv_all(), 1);
	assert_int_equal(msg.type, PHAUL_TYPE__ERROR);
	assert_string_equal(msg.text, "a\\x1bb\\x0ac");
	assert_int_equal(msg.bytes, 0);
}

static void two_at_once(void **state)
{
	say(good, sizeof(good));
	say(good, sizeof(good));
	assert_int_equal(recv_all(), 1);
	/* it spoke before it was asked */
	assert_int_equal(msgfd_check_quiet(&msgfd, &err), -1);
	assert_string_equal(err.what, "the manager answered before it was asked");
}

static void longest_message(void **state)
{
	static uint8_t data[4 + MSGFD_BYTES + 1];

	/* a text that fills it: 8 0, 18, 3 bytes of length */
	memset(data, 'x', sizeof(data));
	memcpy(data, (uint8_t[]){ 0, 0, 1, 0, 8, 0, 18, 0xfa, 0xff, 0x03 }, 10);
	say(data, 4 + MSGFD_BYTES);
	assert_int_equal(recv_all(), 1);
	assert_int_equal(strlen(msg.text), TEXT_MAX - 1);
	data[0] = 1;
	say(data, 5);
	assert_int_equal(recv_all(), -1);
	assert_string_equal(err.what, "the manager announced a message of 65537 bytes; a message has at most 65536");
	assert_int_equal(err.code, CODE_ABORTED);
}

static void refused(const void *data, size_t bytes, const char *what)
{
	memset(&err, 0, sizeof(err));
	say(data, bytes);
	assert_int_equal(recv_all(), -1);
	assert_string_equal(err.what, what);
}

static void no_messages(void **state)
{
	refused("\0\0\0\0", 4, "the manager sent 0 bytes that are no message");
	refused("\2\0\0\0\x18\5", 6, "the manager sent 2 bytes that are no message");
	refused("\2\0\0\0\x08\4", 6, "the manager sent a message of type 4, which there is not");
	refused("\3\0\0\0\x08\2\x12", 7, "the manager sent 3 bytes that are no message");
	memset(&err, 0, sizeof(err));
	shutdown(far, SHUT_WR);
	assert_int_equal(recv_all(), -1);
	assert_string_equal(err.what, "the manager closed its end of --msgfd");
}

static void what_is_sent(void **state)
{
	static char text[MSGFD_BYTES + 9];
	uint8_t buf[4 + MSGFD_BYTES];
	ssize_t n;

	assert_int_equal(msgfd_send(&msgfd, PHAUL_TYPE__SYNCFS, NULL, 100, &err), 0);
	assert_int_equal(read(far, buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "\2\0\0\0\x08\1", 6);
	assert_int_equal(msgfd_send(&msgfd, PHAUL_TYPE__ERROR, "no", 100, &err), 0);
	assert_int_equal(read(far, buf, sizeof(buf)), 10);
	assert_memory_equal(buf, "\6\0\0\0\x08\0\x12\2no", 10);
	/* too long: whole characters alone */
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	assert_int_equal(msgfd_send(&msgfd, PHAUL_TYPE__ERROR, text, 100, &err), 0);
	n = recv(far, buf, sizeof(buf), 0);
	assert_in_range(n, MSGFD_BYTES - 100, sizeof(buf));
	assert_int_equal(buf[n - 1], 0xa4);
}

/* It does not read. */
static void deaf(void **state)
{
	char text[1000] = { 0 };
	int64_t begin = clock_now_ms();

	memset(text, 'x', sizeof(text) - 1);
	while (!msgfd_send(&msgfd, PHAUL_TYPE__ERROR, text, 50, &err))
		;
	assert_non_null(strstr(err.what, "takes no message"));
	assert_true(clock_now_ms() - begin < 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(whole_and_in_pieces), CASE(two_at_once), CASE(longest_message), CASE(no_messages),
		CASE(what_is_sent), CASE(deaf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
