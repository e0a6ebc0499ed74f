// SPDX-License-Identifier: GPL-2.0
/* A manager's messages, the questions to it, and the outcome: each test has the manager's end in its hand. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/clock.h"
#include "session/outcome.h"
#include "source/syncfs.h"
#include "tests/test_dir.h"

static const uint8_t good[] = { 4, 0, 0, 0, 8, 2, 24, 5 };
static struct msgfd msgfd;
static struct msgfd_message msg;
static struct error err;
static int far;

static int open_pair(void **state)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	far = pair[1];
	msgfd_init(&msgfd, pair[0]);
	memset(&err, 0, sizeof(err));
	return 0;
}

static int close_pair(void **state)
{
	close(msgfd.fd);
	close(far);
	return 0;
}

static void say(const void *data, size_t bytes)
{
	assert_int_equal(write(far, data, bytes), bytes);
}

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

static struct mailbox box;

static struct syncfs *ask(void)
{
	static struct syncfs sync;
	uint8_t buf[16];

	memset(&sync, 0, sizeof(sync));
	memset(&err, 0, sizeof(err));
	sync.box = &box;
	msgfd_init(&sync.msgfd, msgfd.fd);
	assert_int_equal(syncfs_ask(&sync, &err), 0);
	assert_int_equal(read(far, buf, sizeof(buf)), 6);
	return &sync;
}

static void answered(void **state)
{
	struct syncfs *sync = ask();

	say(good, sizeof(good));
	assert_int_equal(syncfs_wait(sync, &err), 0);
	assert_int_equal(sync->bytes, 5);
	assert_int_equal(sync->nr, 1);
	/* nothing is waited for when nothing was asked */
	assert_int_equal(syncfs_wait(sync, &err), 0);
	assert_int_equal(syncfs_ask(NULL, &err), 0);
	assert_int_equal(syncfs_wait(NULL, &err), 0);
}

static void unsupported(void **state)
{
	struct syncfs *sync = ask();

	say("\2\0\0\0\x08\3", 6);
	assert_int_equal(syncfs_wait(sync, &err), -1);
	assert_int_equal(err.code, CODE_REFUSED);
	sync = ask();
	sync->shared = true;
	say("\2\0\0\0\x08\3", 6);
	assert_int_equal(syncfs_wait(sync, &err), 0);
	assert_false(syncfs_is_on(sync));
	/* and it is asked no more */
	assert_int_equal(syncfs_ask(sync, &err), 0);
	assert_false(sync->asked);
}

/* A manager that hangs, with a byte now and then. */
static void a_failure_ends_it(void **state)
{
	struct error why = { .code = CODE_ABORTED, .what = "--max-frozen" };
	struct syncfs *sync = ask();

	say(good, 3);
	mailbox_lock(&box);
	mailbox_fail_locked(&box, &why, true);
	mailbox_unlock(&box);
	assert_int_equal(syncfs_wait(sync, &err), -1);
	assert_string_equal(err.what, "--max-frozen");
}

static const char *told(char *buf, size_t size)
{
	ssize_t n = recv(far, buf, size - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	buf[n] = 0;
	return buf;
}

static void outcome_with_log(void **state)
{
	struct outcome_report outcome = { .msgfd = &msgfd };
	struct error why = { .code = CODE_CRIU, .what = "the dump failed", .hint = "do this" };
	char buf[8192];
	struct test_dir dir;
	FILE *log;

	dir_make(&dir);
	snprintf(buf, sizeof(buf), "%s/dump.log", dir.path);
	log = fopen(buf, "w");
	for (int i = 0; i < 1000; i++)
		fprintf(log, "line %d\n", i);
	fprintf(log, "Error \033[31m\xff\n");
	fclose(log);
	outcome_take_log(&outcome, dir.fd, "dump.log");
	outcome_say(&outcome, &why);
	told(buf, sizeof(buf));
	assert_int_equal(buf[5], PHAUL_TYPE__ERROR);
	assert_non_null(strstr(buf + 6, "the dump failed\ndo this\nCRIU's log ends with:\nline "));
	assert_non_null(strstr(buf + 6, "line 999\nError \\x1b[31m\\xff\n"));
	assert_null(strstr(buf + 6, "line 99\n"));
	/* once */
	outcome_say(&outcome, &(struct error){ 0 });
	assert_int_equal(recv(far, buf, sizeof(buf), MSG_DONTWAIT), -1);
	outcome_free(&outcome);
	dir_remove(&dir);
}

static void outcome_without(void **state)
{
	struct outcome_report outcome = { .msgfd = &msgfd }, none = { 0 };
	char buf[64];

	outcome_take_log(&outcome, -1, "dump.log");
	outcome_say(&outcome, &(struct error){ 0 });
	told(buf, sizeof(buf));
	assert_memory_equal(buf, "\2\0\0\0\x08\2", 6);
	outcome_say(&none, &(struct error){ 0 });
	outcome_free(&outcome);
}

#define CASE(test)	cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(whole_and_in_pieces), CASE(two_at_once), CASE(longest_message), CASE(no_messages),
		CASE(what_is_sent), CASE(deaf), CASE(answered), CASE(unsupported), CASE(outcome_with_log),
		CASE(outcome_without), CASE(a_failure_ends_it),
	};

	mailbox_init(&box, "the destination");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
