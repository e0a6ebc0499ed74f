// SPDX-License-Identifier: GPL-2.0
/* A reader that takes nothing delays no writer, and later gets the number of lost lines. */
#define _GNU_SOURCE
#include <fcntl.h>
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
#include "base/out.h"

#define LINE	"a line of text\n"

static void fill(int fd)
{
	char zeros[4096] = "";

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	fcntl(fd, F_SETFL, 0);
}

static void drain(int fd)
{
	char bytes[4096];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
}

static void what_is_read_is_whole(void **state)
{
	size_t bytes = 60000, got = 0;
	char *text = malloc(bytes), *back = malloc(bytes);
	int pair[2];
	struct out out;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	out = (struct out){ .fd = pair[1] };
	memset(text, 'x', bytes);
	assert_true(out_write(&out, text, bytes));
	while (got < bytes)
		got += read(pair[0], back + got, bytes - got);
	assert_memory_equal(text, back, bytes);
	close(pair[0]);
	close(pair[1]);
	free(back);
	free(text);
}

/* It would wait for ever if out_write() did. */
static void nobody_waits_for_a_full_pipe(void **state)
{
	char got[64] = "";
	struct out out;
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	fill(pair[1]);
	out = (struct out){ .fd = pair[1] };
	for (int i = 0; i < 100; i++)
		assert_false(out_write(&out, LINE, strlen(LINE)));
	assert_int_equal(out.lost, 100);
	drain(pair[0]);
	assert_true(out_write(&out, LINE, strlen(LINE)));
	assert_int_equal(read(pair[0], got, sizeof(got)), strlen(LINE));
	assert_string_equal(got, LINE);
	close(pair[0]);
	close(pair[1]);
}

/* What follows a text that was cut begins on a line of its own. */
static void a_cut_text_ends(void **state)
{
	size_t bytes = 1 << 20;
	char *text = malloc(bytes), got[64] = "";
	struct out out;
	int pair[2];

	memset(text, 'x', bytes);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	out = (struct out){ .fd = pair[1] };
	assert_false(out_write(&out, text, bytes));
	assert_true(out.cut);
	drain(pair[0]);
	assert_true(out_write(&out, LINE, strlen(LINE)));
	assert_int_equal(read(pair[0], got, sizeof(got)), strlen(LINE) + 1);
	assert_string_equal(got, "\n" LINE);
	close(pair[0]);
	close(pair[1]);
	free(text);
}

/* Of several processes that write to a pipe, one may find it full that was ready a moment before. */
static void its_own_description_never_waits(void **state)
{
	int pair[2], fd;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	fd = dup(pair[1]);
	out_own(fd);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(pair[1], F_GETFL) & O_NONBLOCK);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

/* A file is written on where it stands, not over its beginning. */
static void a_file_keeps_its_end(void **state)
{
	char path[] = "/tmp/test-out-XXXXXX";
	int fd = mkstemp(path);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(write(fd, LINE, strlen(LINE)), strlen(LINE));
	out_own(fd);
	assert_int_equal(write(fd, LINE, strlen(LINE)), strlen(LINE));
	assert_int_equal(lseek(fd, 0, SEEK_END), 2 * strlen(LINE));
	close(fd);
}

/* As a journal's socket; poll() says that it is ready while there is some room. */
static void nobody_waits_for_a_full_socket(void **state)
{
	char *text = calloc(1, 1 << 22);
	struct out out;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	memset(text, 'x', 1 << 22);
	out = (struct out){ .fd = pair[1] };
	assert_false(out_write(&out, text, 1 << 22));
	assert_int_equal(out.lost, 1);
	close(pair[0]);
	close(pair[1]);
	free(text);
}

/* A reader that takes a line now and then holds up nobody each time: it would be five minutes here. */
static void who_serves_others_does_not_wait(void **state)
{
	struct out out;
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	out = (struct out){ .fd = pair[1], .no_wait = true };
	alarm(120);
	for (int i = 0; i < 300; i++) {
		fill(pair[1]);
		out.lost = 0;
		assert_false(out_write(&out, LINE, strlen(LINE)));
		drain(pair[0]);
	}
	alarm(0);
	close(pair[0]);
	close(pair[1]);
}

static void nobody_reads_any_more(void **state)
{
	struct out out;
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	close(pair[0]);
	out = (struct out){ .fd = pair[1] };
	assert_false(out_write(&out, LINE, strlen(LINE)));
	assert_int_equal(out.lost, 0);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_whole),
		cmocka_unit_test(nobody_waits_for_a_full_pipe),
		cmocka_unit_test(a_cut_text_ends),
		cmocka_unit_test(its_own_description_never_waits),
		cmocka_unit_test(a_file_keeps_its_end),
		cmocka_unit_test(nobody_waits_for_a_full_socket),
		cmocka_unit_test(who_serves_others_does_not_wait),
		cmocka_unit_test(nobody_reads_any_more),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
