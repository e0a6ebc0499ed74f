// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include "base/clock.h"
#include "base/text.h"
#include "base/thread.h"
#include "dest/precheck.h"
#include "dest/receive.h"
#include "dest/tell.h"

#define GATE_TIMEOUT_S		30
#define FINAL_TIMEOUT_MS	30000
#define REASON_MS		1000
#define ROUND_SAID_MS		200	/* rounds are told of at most so often */
#define LOST_LINES		16	/* a frame may name one page, and a process may lose a million */

/* The first lists of a large tree come while the source still reads the page maps of the last processes. */
static uint32_t gate_timeout_s(const struct receive *receive)
{
	return receive->max_frozen_s > GATE_TIMEOUT_S ? receive->max_frozen_s : GATE_TIMEOUT_S;
}

static int gate(void *ctx, uint32_t round, struct error *err)
{
	struct receive *receive = ctx;
	struct mailbox *box = &receive->peer->box;
	struct timespec until = clock_in_ms(CLOCK_MONOTONIC, 1000L * gate_timeout_s(receive));
	bool in_time = true;
	int ret = 0;

	mailbox_lock(box);
	while (receive->begun < round && !receive->frozen && !box->failed && !box->closing &&
	       in_time)
		in_time = !pthread_cond_timedwait(&box->changed, &box->lock, &until);
	if (box->failed) {
		*err = box->err;
		ret = -1;
	} else if (receive->begun < round && !receive->frozen) {
		ret = error_set(err, CODE_PEER, NULL,
				"frames of round %u came, which control did not announce", round);
	}
	mailbox_unlock(box);
	return ret;
}

/* A source that makes rounds without pages could fill the log. */
static void tell_round(struct receive *receive, uint32_t round, uint64_t bytes)
{
	int64_t now = clock_now_ms();

	if (receive->said_ms && now - receive->said_ms < ROUND_SAID_MS)
		return;
	receive->said_ms = now;
	tell("round", json_pack("{s:i,s:I}", "round", round, "bytes", (json_int_t)bytes),
	     "round %u is in, %lu MiB received", round, bytes >> 20);
}

static int ack_round(void *ctx, uint32_t round, struct error *err)
{
	struct receive *receive = ctx;
	uint64_t bytes = 0;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__RoundAck ack = MIGRATE__ROUND_ACK__INIT;

	for (unsigned int i = 0; i < receive->streams; i++)
		bytes += atomic_load(&receive->memory[i].receiver.bytes);
	ack.round = round;
	msg.body_case = MIGRATE__CONTROL__BODY_ROUND_ACK;
	msg.round_ack = &ack;
	tell_round(receive, round, bytes);
	arrived_write(&receive->arrived, &receive->images->dir, round, receive->objects);
	return control_send(receive->peer->ctl, &msg, err);
}

static int ack_final(void *ctx, uint64_t have, uint64_t lack, struct error *err)
{
	struct receive *receive = ctx;
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__FinalAck ack = MIGRATE__FINAL_ACK__INIT;

	ack.have_pages = have;
	ack.want_pages = lack;
	msg.body_case = MIGRATE__CONTROL__BODY_FINAL_ACK;
	msg.final_ack = &ack;
	tell("final", json_pack("{s:I,s:I}", "have_pages", (json_int_t)have, "want_pages",
				(json_int_t)lack),
	     "here: %s; still at the source: %s", text_count(have, "page", "pages").text,
	     text_count(lack, "page", "pages").text);
	/* Ready must not overtake it */
	if (control_send(receive->peer->ctl, &msg, err))
		return -1;
	mailbox_set(&receive->peer->box, &receive->final);
	return 0;
}

/*
 * Before COMMIT the source has all: it goes on there. The source says LOST from the record of COMMIT
 * on, so that the frame may overtake COMMIT.
 */
static void lost(void *ctx, const struct mm *mm, uint64_t nr_pages)
{
	struct receive *receive = ctx;
	unsigned int before = atomic_fetch_add(&receive->nr_lost, 1);
	struct error err = { 0 };

	if (before < LOST_LINES)
		tell("lost", json_pack("{s:i,s:I}", "pid", mm->pid, "pages", (json_int_t)nr_pages),
		     "%s of process %d %s lost at the source",
		     text_count(nr_pages, "page", "pages").text, mm->pid, nr_pages == 1 ? "is" : "are");
	if (before == LOST_LINES)
		tell("lost", NULL, "more pages are lost at the source: the result counts all of them");
	error_set(&err, CODE_TARGET, NULL,
		  "memory of process %d was lost at the source before the program was started",
		  mm->pid);
	peer_fail_unless_committed(receive->peer, &err);
}

void receive_init(struct receive *receive)
{
	const struct receiver_hooks hooks = {
		.gate = gate, .round = ack_round, .final = ack_final, .lost = lost,
		.ctx = receive,
	};

	receive->urgent_conn = CONN_NONE;
	receive->arrived.fd = -1;
	receive->urgent = (struct receiver){
		.conn = &receive->urgent_conn, .urgent = true, .objects = receive->objects,
		.place = receive->place, .hooks = hooks,
	};
	for (unsigned int i = 0; i < STREAMS_MAX; i++) {
		struct receive_stream *stream = &receive->memory[i];

		stream->receive = receive;
		stream->conn = CONN_NONE;
		stream->receiver = (struct receiver){
			.conn = &stream->conn, .stream = i, .objects = receive->objects,
			.place = receive->place, .hooks = hooks,
		};
	}
	barrier_init(&receive->barrier, 1);
	receive->streams = 1;
}

void receive_expect(struct receive *receive, unsigned int streams)
{
	receive->streams = receive->barrier.nr = streams;
	for (unsigned int i = 0; streams > 1 && i < streams; i++)
		receive->memory[i].receiver.barrier = &receive->barrier;
}

static int refuse_conn(const struct conn *conn, const char *why, struct error *err)
{
	struct conn again = *conn;

	conn_close(&again);
	return error_set(err, CODE_PEER, NULL, "memory stream %u of %u %s", conn->index + 1, conn->streams, why);
}

int receive_connect(struct receive *receive, const struct conn *conn, struct error *err)
{
	struct conn *to = conn->kind == CONN_MEMORY ? &receive->memory[conn->index].conn : &receive->urgent_conn;
	struct conn again = *conn;

	if (conn->kind == CONN_MEMORY && (conn->streams ? conn->streams : 1U) != receive->streams)
		return refuse_conn(conn, "came, of which the source's Hello said another number", err);
	if (!conn_is_open(to)) {
		*to = *conn;
		return 0;
	}
	if (conn->kind == CONN_MEMORY)
		return refuse_conn(conn, "came twice", err);
	conn_close(&again);
	return error_set(err, CODE_PEER, NULL, "the source made a connection twice");
}

const char *receive_lacks(const struct receive *receive)
{
	static char name[40];

	for (unsigned int i = 0; i < receive->streams; i++) {
		if (conn_is_open(&receive->memory[i].conn))
			continue;
		snprintf(name, sizeof(name), "memory stream %u of %u", i + 1, receive->streams);
		return name;
	}
	return conn_is_open(&receive->urgent_conn) ? NULL : "its urgent connection";
}

void receive_fail(struct receive *receive)
{
	barrier_fail(&receive->barrier);
}

/* Which one, when there are several. */
static void name_stream(const struct receiver *receiver, struct error *err)
{
	struct error what = *err;

	if (!receiver->barrier)
		return;
	*err = (struct error){ 0 };
	error_set(err, what.code, what.hint, "memory stream %u of %u: %.300s", receiver->stream + 1,
		  receiver->barrier->nr, what.what);
}

static void receive_body(struct receive *receive, struct receiver *receiver)
{
	struct error err = { 0 };

	if (!receiver_run(receiver, &err))
		error_set(&err, CODE_NETWORK, NULL, "the source closed the %s connection",
			  receiver->urgent ? "urgent" : "memory");
	/* the source sends its reason on control when it closes the other connections */
	if (err.code == CODE_NETWORK) {
		name_stream(receiver, &err);
		mailbox_wait_failure(&receive->peer->box, REASON_MS);
	}
	peer_fail(receive->peer, &err);
}

static void *memory_body(void *arg)
{
	struct receive_stream *stream = arg;

	receive_body(stream->receive, &stream->receiver);
	return NULL;
}

static void *urgent_body(void *arg)
{
	struct receive *receive = arg;

	receive_body(receive, &receive->urgent);
	return NULL;
}

/* The first one is not counted: every migration has it. */
uint64_t receive_cost(const struct receive *receive)
{
	return (receive->streams - 1) * RECEIVER_BYTES;
}

void receive_allow(struct receive *receive, uint32_t codecs)
{
	for (unsigned int i = 0; i < receive->streams; i++)
		receive->memory[i].receiver.unpacker.codecs = codecs;
}

int receive_start(struct receive *receive, struct error *err)
{
	receive->has_urgent = !thread_start(&receive->urgent_thread, urgent_body, receive, err);
	if (!receive->has_urgent)
		return -1;
	for (unsigned int i = 0; i < receive->streams; i++) {
		struct receive_stream *stream = &receive->memory[i];

		stream->has_thread = !thread_start(&stream->thread, memory_body, stream, err);
		if (!stream->has_thread)
			return -1;
	}
	return 0;
}

void receive_end_urgent(struct receive *receive)
{
	conn_shutdown(&receive->urgent_conn);
}

void receive_stop(struct receive *receive)
{
	if (!receive->has_urgent)
		return;
	receive_fail(receive);
	for (unsigned int i = 0; i < receive->streams; i++)
		conn_shutdown(&receive->memory[i].conn);
	conn_shutdown(&receive->urgent_conn);
	for (unsigned int i = 0; i < receive->streams; i++)
		if (receive->memory[i].has_thread)
			pthread_join(receive->memory[i].thread, NULL);
	pthread_join(receive->urgent_thread, NULL);
	arrived_close(&receive->arrived);
	receive->has_urgent = false;
}

static int begin_round(struct receive *receive, uint32_t round, struct error *err)
{
	struct mailbox *box = &receive->peer->box;
	uint32_t begun;

	if (precheck_memory(0, err))
		return -1;
	mailbox_lock(box);
	begun = receive->begun;
	if (round == begun + 1 && round <= ROUNDS_MAX)
		receive->begun = round;
	pthread_cond_broadcast(&box->changed);
	mailbox_unlock(box);
	if (round != begun + 1 || round > ROUNDS_MAX)
		return error_set(err, CODE_PEER, NULL, "the source began round %u after round %u",
				 round, begun);
	place_progress(receive->place);
	return 0;
}

static int take_announce(struct receive *receive, const Migrate__Announce *announce,
			 struct error *err)
{
	if (budget_announce(receive->budget, BUDGET_MIRROR, announce->memory_bytes, err))
		return -1;
	return budget_announce(receive->budget, BUDGET_IMAGES, announce->image_bytes, err);
}

static int take_go(struct receive *receive, const Migrate__RestoreGo *go, struct error *err)
{
	place_progress(receive->place);
	if (images_check_complete(receive->images, go->files, err))
		return -1;
	return receive->hooks.go(receive->hooks.ctx, go, err);
}

/* Rare steps count as progress; a repeated list does not, since it could hold a place for ever. */
static int take_message(struct receive *receive, const Migrate__Control *msg, struct error *err)
{
	switch (msg->body_case) {
	case MIGRATE__CONTROL__BODY_OBJECTS:
		return receive->hooks.objects(receive->hooks.ctx, msg->objects, err);
	case MIGRATE__CONTROL__BODY_MAPS:
		return receive->hooks.maps(receive->hooks.ctx, msg->maps, err);
	case MIGRATE__CONTROL__BODY_NEEDS:
		return receive->hooks.needs(receive->hooks.ctx, msg->needs, err);
	case MIGRATE__CONTROL__BODY_ANNOUNCE:
		return take_announce(receive, msg->announce, err);
	case MIGRATE__CONTROL__BODY_ROUND_BEGIN:
		return begin_round(receive, msg->round_begin->round, err);
	case MIGRATE__CONTROL__BODY_FROZEN:
		place_progress(receive->place);
		mailbox_set(&receive->peer->box, &receive->frozen);
		return 0;
	case MIGRATE__CONTROL__BODY_IMAGE_FILE:
		place_came(receive->place, msg->image_file->data.len);
		return images_take(receive->images, msg->image_file, err);
	case MIGRATE__CONTROL__BODY_RESTORE_GO:
		return take_go(receive, msg->restore_go, err);
	default:
		return error_set(err, CODE_PEER, NULL, "message %d was not expected here",
				 msg->body_case);
	}
}

int receive_run(struct receive *receive, struct error *err)
{
	bool go = false;
	int ret = 0;

	peer_state(receive->peer, "RECEIVE");
	while (!go && !ret) {
		Migrate__Control *msg = mailbox_next(&receive->peer->box, -1, err);

		if (!msg)
			return -1;
		go = msg->body_case == MIGRATE__CONTROL__BODY_RESTORE_GO;
		ret = take_message(receive, msg, err);
		migrate__control__free_unpacked(msg, NULL);
	}
	return ret;
}

int receive_wait_final(struct receive *receive, struct error *err)
{
	return peer_wait(receive->peer, &receive->final, FINAL_TIMEOUT_MS,
			 "the end of the lists of pages", err);
}
