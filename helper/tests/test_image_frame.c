// SPDX-License-Identifier: GPL-2.0
/* Frames between image-proxy and image-cache, and requests of criu --stream: sound ones, and others. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fdpass.h"
#include "base/thread.h"
#include "services/image_frame.h"
#include "services/stream_request.h"

struct bench {
	struct conn here, there;
	struct error err;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int pair[2];

	*state = bench;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	bench->here.fd = pair[0];
	bench->there.fd = pair[1];
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	conn_close(&bench->here);
	conn_close(&bench->there);
	free(bench);
	return 0;
}

static void round_trip(struct bench *bench, struct image_frame sent)
{
	struct image_frame came;

	assert_int_equal(image_frame_send(&bench->here, &sent, &bench->err), 0);
	assert_int_equal(image_frame_recv(&bench->there, &came, &bench->err), 1);
	assert_int_equal(came.kind, sent.kind);
	assert_int_equal(came.number, sent.number);
	assert_int_equal(came.dump, sent.dump);
	assert_int_equal(came.size, sent.size);
	assert_string_equal(came.text, sent.text);
	if (sent.kind == IMAGE_DATA)
		assert_int_equal(came.bytes, sent.bytes);
}

static void frame_test_round_trip(void **state)
{
	struct bench *bench = *state;
	struct image_frame longest = { .kind = IMAGE_OPEN, .number = IMAGES_OPEN_MAX - 1,
				       .dump = IMAGE_DUMPS_MAX - 1 };

	memset(longest.text, 'n', IMAGE_NAME_BYTES);
	round_trip(bench, longest);
	round_trip(bench, (struct image_frame){ .kind = IMAGE_DUMP, .number = 3, .text = "a" });
	round_trip(bench, (struct image_frame){ .kind = IMAGE_DATA, .number = 9, .bytes = IMAGE_DATA_MAX });
	round_trip(bench, (struct image_frame){ .kind = IMAGE_END, .size = 1ULL << 40 });
	round_trip(bench, (struct image_frame){ .kind = IMAGE_SEAL, .size = 7 });
	round_trip(bench, (struct image_frame){ .kind = IMAGE_COMMIT, .number = 63 });
	round_trip(bench, (struct image_frame){ .kind = IMAGE_REFUSED, .text = "full" });
	conn_close(&bench->here);
	assert_int_equal(image_frame_recv(&bench->there, &longest, &bench->err), 0);
}

/* magic and kind, number, length, and what follows */
static void refused(struct bench *bench, uint32_t magic, uint32_t number, uint32_t bytes,
		    const void *payload)
{
	uint32_t head[] = { magic, number, bytes };
	struct image_frame frame;

	bench->err = (struct error){ 0 };
	assert_int_equal(write(bench->here.fd, head, sizeof(head)), sizeof(head));
	if (payload)
		assert_int_equal(write(bench->here.fd, payload, bytes), bytes);
	assert_int_equal(image_frame_recv(&bench->there, &frame, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
}

static void frame_test_refused(void **state)
{
	struct bench *bench = *state;
	const uint32_t magic = 0x49565300;

	refused(bench, 0x12345678, 0, 0, NULL);
	refused(bench, magic, 0, 0, NULL);
	refused(bench, magic + IMAGE_REFUSED + 1, 0, 0, NULL);
	refused(bench, magic + IMAGE_DATA, 0, 0, NULL);
	refused(bench, magic + IMAGE_DATA, 0, IMAGE_DATA_MAX + 1, NULL);
	refused(bench, magic + IMAGE_DATA, IMAGES_OPEN_MAX, 1, NULL);
	refused(bench, magic + IMAGE_DUMP, 0, 0, NULL);
	refused(bench, magic + IMAGE_DUMP, 0, IMAGE_NAME_BYTES + 1, NULL);
	refused(bench, magic + IMAGE_DUMP, IMAGE_DUMPS_MAX, 1, NULL);
	refused(bench, magic + IMAGE_DUMP, 0, 3, "a\0b");
	refused(bench, magic + IMAGE_OPEN, 0, 4, NULL);
	refused(bench, magic + IMAGE_OPEN, 0, 5, "\x40\0\0\0n");
	refused(bench, magic + IMAGE_END, 0, 7, NULL);
	refused(bench, magic + IMAGE_COMMIT, 0, 1, NULL);
}

static void frame_test_version(void **state)
{
	struct bench *bench = *state;
	struct image_frame hello = { .kind = IMAGE_HELLO, .number = IMAGE_LINK_VERSION + 1 };

	assert_int_equal(image_frame_send(&bench->there, &hello, &bench->err), 0);
	assert_int_equal(image_frame_greet(&bench->here, IMAGE_GREET_MS, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_non_null(strstr(bench->err.what, "version 2"));
}

static void *slow_body(void *arg)
{
	struct bench *bench = arg;

	/* more than a greeting has, so that one without a time limit ends, too */
	for (int i = 0; i < 16; i++) {
		usleep(100000);
		send(bench->there.fd, "", 1, MSG_NOSIGNAL);
	}
	return NULL;
}

/* A greeting that comes byte by byte has no more time than one that does not come. */
static void frame_test_slow(void **state)
{
	struct bench *bench = *state;
	pthread_t thread;

	assert_int_equal(thread_start(&thread, slow_body, bench, &bench->err), 0);
	assert_int_equal(image_frame_greet(&bench->here, 350, &bench->err), -1);
	assert_int_equal(bench->err.code, CODE_NETWORK);
	conn_close(&bench->here);
	pthread_join(thread, NULL);
}

/* A length, and bytes behind it */
static int ask(struct bench *bench, uint32_t bytes, const char *raw, struct stream_request *request)
{
	bench->err = (struct error){ 0 };
	assert_int_equal(write(bench->here.fd, &bytes, sizeof(bytes)), sizeof(bytes));
	if (raw)
		assert_int_equal(write(bench->here.fd, raw, bytes), bytes);
	return stream_request_read(bench->there.fd, request, &bench->err);
}

static void stream_test_request(void **state)
{
	struct stream_request request;
	struct bench *bench = *state;
	bool exists = false;

	assert_int_equal(ask(bench, 7, "\n\005a.img", &request), 1);
	assert_string_equal(request.name, "a.img");
	assert_false(request.confirm);
	assert_int_equal(stream_request_confirm(bench->here.fd, -1), 0);
	assert_int_equal(stream_request_read(bench->there.fd, &request, &bench->err), 1);
	assert_true(request.confirm);
	assert_int_equal(stream_reply_write(bench->there.fd, true), 0);
	assert_int_equal(stream_reply_read(bench->here.fd, &exists), 0);
	assert_true(exists);
	/* no name; too long; no message; no length */
	assert_int_equal(ask(bench, 2, "\n\0", &request), -1);
	assert_int_equal(ask(bench, 4097, NULL, &request), -1);
	assert_int_equal(ask(bench, 3, "\n\005a", &request), -1);
	assert_int_equal(bench->err.code, CODE_PEER);
	assert_int_equal(ask(bench, 0, NULL, &request), -1);
	conn_close(&bench->here);
	assert_int_equal(stream_request_read(bench->there.fd, &request, &bench->err), 0);
}

static void stream_test_pipe(void **state)
{
	struct bench *bench = *state;
	int pipe[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC), got;

	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	fdpass_send(bench->here.fd, "", 1, &pipe[0], 1);
	got = stream_pipe_read(bench->there.fd, O_RDONLY, NULL, &bench->err);
	assert_true(got >= 0 && (fcntl(got, F_GETFL) & O_NONBLOCK));
	close(got);
	/* the wrong end; no pipe; nothing */
	fdpass_send(bench->here.fd, "", 1, &pipe[1], 1);
	assert_int_equal(stream_pipe_read(bench->there.fd, O_RDONLY, NULL, &bench->err), -1);
	fdpass_send(bench->here.fd, "", 1, &null, 1);
	assert_int_equal(stream_pipe_read(bench->there.fd, O_RDONLY, NULL, &bench->err), -1);
	assert_int_equal(write(bench->here.fd, "", 1), 1);
	assert_int_equal(stream_pipe_read(bench->there.fd, O_RDONLY, NULL, &bench->err), -1);
	close(pipe[0]);
	close(pipe[1]);
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(frame_test_round_trip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(frame_test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(frame_test_version, set_up, tear_down),
		cmocka_unit_test_setup_teardown(frame_test_slow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stream_test_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stream_test_pipe, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
