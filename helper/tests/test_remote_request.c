// SPDX-License-Identifier: GPL-2.0
/* Requests of the original protocol of image proxy and image cache, as CRIU packed them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "services/remote_request.h"

struct bench {
	int criu, server;
	struct error err;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	bench->criu = pair[0];
	bench->server = pair[1];
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	close(bench->criu);
	close(bench->server);
	free(bench);
	return 0;
}

/* A length, and the packed message of a literal */
#define ask(bench, raw, request) ask_bytes(bench, raw, sizeof(raw) - 1, request)

static int ask_bytes(struct bench *bench, const char *raw, uint32_t bytes,
		     struct remote_request *request)
{
	bench->err = (struct error){ 0 };
	assert_int_equal(write(bench->criu, &bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(write(bench->criu, raw, bytes), bytes);
	return remote_request_read(bench->server, request, &bench->err);
}

static void request_test_recorded(void **state)
{
	struct remote_request request;
	struct bench *bench = *state;

	/* write_remote_image_connection("/srv/1", "core-1.img", O_WRONLY) */
	assert_int_equal(ask(bench, "\n\012core-1.img\022\006/srv/1\030\001", &request), 1);
	assert_int_equal(request.mode, REMOTE_WRITE);
	assert_true(request.writes);
	assert_string_equal(request.key, "/srv/1/core-1.img");
	assert_string_equal(request.snapshot, "/srv/1");
	assert_false(remote_request_is_list(&request));
	/* push_snapshot_id(): a NULL snapshot id is packed as an empty one */
	assert_int_equal(ask(bench, "\n\006parent\022\000\030\200\010", &request), 1);
	assert_int_equal(request.mode, REMOTE_APPEND);
	assert_string_equal(request.snapshot, "");
	assert_true(remote_request_is_list(&request));
	/* read_remote_image_connection() */
	assert_int_equal(ask(bench, "\n\012core-1.img\022\006/srv/1\030\000", &request), 1);
	assert_int_equal(request.mode, REMOTE_READ);
	assert_false(request.writes);
	/* finish_remote_dump() and finish_remote_restore() */
	assert_int_equal(ask(bench, "\n\000\022\000\030\001", &request), 1);
	assert_int_equal(request.mode, REMOTE_FINISH);
	assert_true(request.writes);
	assert_int_equal(ask(bench, "\n\000\022\000\030\000", &request), 1);
	assert_int_equal(request.mode, REMOTE_FINISH);
	assert_false(request.writes);
	assert_false(remote_request_is_list(&request));
}

static void request_test_refused(void **state)
{
	char raw[2 + 100 + 3 + 200 + 2] = "\n\144";
	struct remote_request request;
	struct bench *bench = *state;

	/* O_RDWR; a slash in the name; no name; a field is missing; a text is cut */
	assert_int_equal(ask(bench, "\n\001a\022\001b\030\002", &request), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_int_equal(ask(bench, "\n\003a/b\022\001c\030\001", &request), -1);
	assert_int_equal(ask(bench, "\n\000\022\001c\030\001", &request), -1);
	assert_int_equal(ask(bench, "\n\001a\022\001b", &request), -1);
	assert_int_equal(ask(bench, "\n\001a\022\011b\030\001", &request), -1);
	/* 100 and 154 bytes, with a slash between them, just fit */
	memset(raw + 2, 'a', 100);
	memcpy(raw + 102, "\022\232\001", 3);
	memset(raw + 105, 'b', 154);
	memcpy(raw + 259, "\030\001", 2);
	assert_int_equal(ask_bytes(bench, raw, 261, &request), 1);
	assert_int_equal(strlen(request.key), IMAGE_NAME_BYTES);
	raw[103] = '\233';
	raw[259] = 'b';
	memcpy(raw + 260, "\030\001", 2);
	assert_int_equal(ask_bytes(bench, raw, 262, &request), -1);
	shutdown(bench->criu, SHUT_WR);
	assert_int_equal(remote_request_read(bench->server, &request, &bench->err), 0);
}

static void request_test_reply(void **state)
{
	struct bench *bench = *state;
	char raw[16];

	assert_int_equal(remote_reply_write(bench->server, ENOENT), 0);
	assert_int_equal(read(bench->criu, raw, sizeof(raw)), 6);
	assert_memory_equal(raw, "\002\000\000\000\010\002", 6);
	assert_int_equal(remote_reply_write(bench->server, 0), 0);
	assert_int_equal(read(bench->criu, raw, sizeof(raw)), 6);
	assert_memory_equal(raw, "\002\000\000\000\010\000", 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(request_test_recorded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(request_test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(request_test_reply, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
