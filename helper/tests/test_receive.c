// SPDX-License-Identifier: GPL-2.0
/* RECEIVE: the messages on control, and the gate that keeps frames in step with them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "dest/receive.h"
#include "dest/tell.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "tests/mm_hooks.h"

#define ID	7
#define LATER_MS	10000

static struct world {
	struct peer peer;
	struct control *source;
	struct objects objects;
	struct images images;
	struct receive receive;
	struct conn memory, urgent;
	bool went;
} w;

static void nothing(void *ctx)
{
}

static int maps(void *ctx, const Migrate__Maps *maps, struct error *err)
{
	return 0;
}

static int go(void *ctx, const Migrate__RestoreGo *go, struct error *err)
{
	w.went = true;
	return 0;
}

static void connect_pair(enum conn_kind kind, struct conn *source)
{
	struct error err = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	*source = (struct conn){ .fd = fd[1], .kind = kind };
	assert_int_equal(receive_connect(&w.receive, &(struct conn){ .fd = fd[0], .kind = kind }, &err),
			 0);
}

/* Both ends in PRE-COPY, with all three connections and one object. */
static int set_up(void **state)
{
	const struct peer_hooks hooks = { .cancel = nothing, .failed = nothing };
	struct error err = { 0 };
	int fd[2];

	memset(&w, 0, sizeof(w));
	w.images.file = w.images.images_fd = w.images.work_fd = -1;
	peer_init(&w.peer, &hooks);
	objects_init(&w.objects, &no_mm_hooks, NULL, NULL);
	assert_non_null(objects_add_mm(&w.objects, ID, 100, &err));
	w.receive = (struct receive){
		.peer = &w.peer, .objects = &w.objects, .images = &w.images,
		.hooks = { .maps = maps, .go = go },
	};
	receive_init(&w.receive);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	w.source = control_new(CONN(fd[0]), COURSE_SOURCE, &err);
	assert_non_null(w.source);
	assert_int_equal(peer_open(&w.peer, CONN(fd[1]), &err), 0);
	assert_int_equal(walk_to(w.source, w.peer.ctl, PHASE_PRECOPY, &err), 0);
	assert_int_equal(peer_start(&w.peer, &err), 0);
	assert_string_equal(receive_lacks(&w.receive), "memory stream 1 of 1");
	connect_pair(CONN_MEMORY, &w.memory);
	connect_pair(CONN_URGENT, &w.urgent);
	assert_null(receive_lacks(&w.receive));
	return 0;
}

static int tear_down(void **state)
{
	mailbox_close(&w.peer.box);
	receive_stop(&w.receive);
	control_shutdown(w.peer.ctl);
	control_close(w.source);
	pthread_join(w.peer.thread, NULL);
	control_close(w.peer.ctl);
	mailbox_destroy(&w.peer.box);
	conn_close(&w.receive.memory[0].conn);
	conn_close(&w.receive.urgent_conn);
	conn_close(&w.memory);
	conn_close(&w.urgent);
	objects_destroy(&w.objects);
	return 0;
}

static void send_round_begin(uint32_t round)
{
	Migrate__RoundBegin begin = MIGRATE__ROUND_BEGIN__INIT;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	struct error err = { 0 };

	begin.round = round;
	msg.body_case = MIGRATE__CONTROL__BODY_ROUND_BEGIN;
	msg.round_begin = &begin;
	assert_int_equal(control_send(w.source, &msg, &err), 0);
}

static void send_frame(enum frame_kind kind, uint32_t round)
{
	struct error err = { 0 };

	assert_int_equal(frame_send(&w.memory, kind, FRAME_COOKIE(round, ID), NULL, 0, &err), 0);
}

static int nr_told;

void __wrap_tell(const char *event, json_t *fields, const char *fmt, ...)
{
	nr_told++;
	json_decref(fields);
}

/* One for each page would fill a disk. */
static void the_lines_about_lost_pages_are_few(void **state)
{
	const struct receiver_hooks *hooks = &w.receive.memory[0].receiver.hooks;

	nr_told = 0;
	for (int i = 0; i < 1000; i++)
		hooks->lost(hooks->ctx, objects_mm(&w.objects, ID), 1);
	assert_in_range(nr_told, 2, 20);
}

static void a_second_connection_is_refused(void **state)
{
	struct error err = { 0 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(receive_connect(&w.receive,
					 &(struct conn){ .fd = fd[0], .kind = CONN_URGENT }, &err),
			 -1);
	assert_int_equal(err.code, CODE_PEER);
	close(fd[1]);
}

static int connect_stream(unsigned int index, unsigned int streams, struct error *err)
{
	struct conn conn = conn_stream(index, streams);
	int fd[2], ret;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	conn.fd = fd[0];
	memset(err, 0, sizeof(*err));
	ret = receive_connect(&w.receive, &conn, err);
	close(fd[1]);
	return ret;
}

/* Which one comes twice, or is missing, or is of another number than Hello said. */
static void wrong_streams_are_named(void **state)
{
	struct error err;

	receive_expect(&w.receive, 3);
	assert_string_equal(receive_lacks(&w.receive), "memory stream 2 of 3");
	assert_int_equal(connect_stream(2, 3, &err), 0);
	assert_int_equal(connect_stream(2, 3, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_non_null(strstr(err.what, "memory stream 3 of 3 came twice"));
	assert_int_equal(connect_stream(1, 2, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_non_null(strstr(err.what, "memory stream 2 of 2"));
	assert_string_equal(receive_lacks(&w.receive), "memory stream 2 of 3");
	assert_int_equal(connect_stream(1, 3, &err), 0);
	assert_null(receive_lacks(&w.receive));
	for (unsigned int i = 1; i < 3; i++)
		conn_close(&w.receive.memory[i].conn);
}

static void a_round_left_out_is_refused(void **state)
{
	struct error err = { 0 };

	send_round_begin(2);
	assert_int_equal(receive_run(&w.receive, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
}

/* The end of a round that control has not announced yet waits at the gate, and is acknowledged then. */
static void a_round_waits_for_control(void **state)
{
	struct error err = { 0 };
	Migrate__Control *ack, *msg;

	assert_int_equal(receive_start(&w.receive, &err), 0);
	send_frame(FRAME_ROUND, 1);
	send_round_begin(1);
	msg = mailbox_expect(&w.peer.box, MIGRATE__CONTROL__BODY_ROUND_BEGIN, LATER_MS, &err);
	assert_non_null(msg);
	migrate__control__free_unpacked(msg, NULL);
	mailbox_lock(&w.peer.box);
	assert_int_equal(w.receive.memory[0].receiver.round, 0);
	w.receive.begun = 1;
	pthread_cond_broadcast(&w.peer.box.changed);
	mailbox_unlock(&w.peer.box);
	ack = control_expect(w.source, MIGRATE__CONTROL__BODY_ROUND_ACK, LATER_MS, &err);
	assert_non_null(ack);
	assert_int_equal(ack->round_ack->round, 1);
	migrate__control__free_unpacked(ack, NULL);
}

/* Frozen opens the gate for FINAL, and RestoreGo ends RECEIVE. */
static void receives_up_to_restore_go(void **state)
{
	struct error err = { 0 };
	Migrate__Control *ack;

	assert_int_equal(receive_start(&w.receive, &err), 0);
	assert_int_equal(walk_send(w.source, MIGRATE__CONTROL__BODY_FROZEN, &err), 0);
	assert_int_equal(walk_send(w.source, MIGRATE__CONTROL__BODY_RESTORE_GO, &err), 0);
	send_frame(FRAME_FINAL, 1);
	assert_int_equal(receive_run(&w.receive, &err), 0);
	assert_true(w.went);
	assert_int_equal(receive_wait_final(&w.receive, &err), 0);
	ack = control_expect(w.source, MIGRATE__CONTROL__BODY_FINAL_ACK, LATER_MS, &err);
	assert_non_null(ack);
	migrate__control__free_unpacked(ack, NULL);
}

/* RestoreGo says how many image files were sent. */
static void a_missing_image_is_seen(void **state)
{
	struct error err = { 0 };

	w.images.files = 1;
	assert_int_equal(walk_send(w.source, MIGRATE__CONTROL__BODY_FROZEN, &err), 0);
	assert_int_equal(walk_send(w.source, MIGRATE__CONTROL__BODY_RESTORE_GO, &err), 0);
	assert_int_equal(receive_run(&w.receive, &err), -1);
	assert_int_equal(err.code, CODE_PEER);
	assert_false(w.went);
}

#define RECEIVE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RECEIVE_TEST(a_second_connection_is_refused),
		RECEIVE_TEST(wrong_streams_are_named),
		RECEIVE_TEST(a_round_left_out_is_refused),
		RECEIVE_TEST(a_round_waits_for_control),
		RECEIVE_TEST(receives_up_to_restore_go),
		RECEIVE_TEST(a_missing_image_is_seen),
		RECEIVE_TEST(the_lines_about_lost_pages_are_few),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
