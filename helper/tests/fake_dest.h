/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A destination for the tests of the source: two threads that take all frames and all messages, and
 * count them. Included by one test, after cmocka.h.
 */
#ifndef MIGRATE_TESTS_FAKE_DEST_H
#define MIGRATE_TESTS_FAKE_DEST_H

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include "base/page.h"
#include "tests/conn_fd.h"
#include "tests/course_walk.h"
#include "wire/stream.h"

#define FAKE_OBJECTS	3

/** struct fake_seen - of one object: pages by kind of frame, and marks */
struct fake_seen {
	uint64_t pages, copies, stale, dropped, populated;
	unsigned int rounds, finals;
	uint32_t last_round;	/* of the last frame */
};

/**
 * struct fake_dest - see the top of this file
 * @source: the source's end of control; the test closes what fake_dest_open() gave it
 * @nr_objects: a round is over, and acknowledged, when each of these has ended it
 * @ack_ahead: rounds are acknowledged so many too high
 * @announced, @frozen, @maps: of the messages. All may be looked at after fake_dest_end()
 */
struct fake_dest {
	struct control *ctl, *source;
	struct conn memory;
	struct fake_seen seen[FAKE_OBJECTS + 1];
	uint32_t nr_objects, ack_ahead;
	unsigned int acks, frozen, maps;
	uint64_t announced;
	pthread_t frames, control;
};

static void fake_dest_ack(struct fake_dest *dest, uint32_t round)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__RoundAck body = MIGRATE__ROUND_ACK__INIT;
	struct error err = { 0 };

	for (uint32_t i = 1; i <= dest->nr_objects; i++)
		if (dest->seen[i].rounds != round)
			return;
	body.round = round + dest->ack_ahead;
	msg.body_case = MIGRATE__CONTROL__BODY_ROUND_ACK;
	msg.round_ack = &body;
	if (!control_send(dest->ctl, &msg, &err))
		dest->acks++;
}

static int fake_dest_take(struct fake_dest *dest, const struct frame *frame)
{
	static uint8_t pages[FRAME_MAX_PAGES * PAGE_BYTES];
	struct fake_seen *seen = &dest->seen[FRAME_OBJECT_OF(frame->cookie)];
	struct error err = { 0 };
	uint64_t nr = 0;

	for (uint32_t i = 0; i < frame->nr_runs; i++)
		nr += frame->runs[i].nr_pages;
	seen->pages += frame->kind == FRAME_PAGES ? nr : 0;
	seen->copies += frame->kind == FRAME_COPY ? nr : 0;
	seen->stale += frame->kind == FRAME_STALE ? nr : 0;
	seen->dropped += frame->kind == FRAME_DROPPED ? nr : 0;
	seen->populated += frame->kind == FRAME_POPULATED ? nr : 0;
	seen->rounds += frame->kind == FRAME_ROUND;
	seen->finals += frame->kind == FRAME_FINAL;
	seen->last_round = FRAME_ROUND_OF(frame->cookie);
	if (frame->kind == FRAME_ROUND)
		fake_dest_ack(dest, seen->last_round);
	return frame->kind != FRAME_PAGES ? 0 :
	       conn_read(&dest->memory, pages, nr * PAGE_BYTES, 10000, &err);
}

static void *fake_dest_frames(void *arg)
{
	struct fake_dest *dest = arg;
	struct frame frame = { 0 };
	struct error err = { 0 };

	while (frame_recv(&dest->memory, -1, &frame, &err) == 1) {
		assert_in_range(FRAME_OBJECT_OF(frame.cookie), 1, FAKE_OBJECTS);
		if (fake_dest_take(dest, &frame))
			break;
	}
	frame_free(&frame);
	return NULL;
}

static void *fake_dest_messages(void *arg)
{
	struct fake_dest *dest = arg;
	struct error err = { 0 };
	Migrate__Control *msg;

	while ((msg = control_recv(dest->ctl, -1, &err))) {
		if (msg->body_case == MIGRATE__CONTROL__BODY_ANNOUNCE)
			dest->announced = msg->announce->memory_bytes;
		dest->frozen += msg->body_case == MIGRATE__CONTROL__BODY_FROZEN;
		dest->maps += msg->body_case == MIGRATE__CONTROL__BODY_MAPS;
		migrate__control__free_unpacked(msg, NULL);
	}
	return NULL;
}

/* Both ends stand at @phase; *@memory becomes the source's end. */
static int fake_dest_open(struct fake_dest *dest, enum course_phase phase, uint32_t nr_objects,
			  struct conn *memory, struct error *err)
{
	int control[2], frames[2];

	dest->nr_objects = nr_objects;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, control) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, frames))
		return -1;
	dest->source = control_new(CONN(control[0]), COURSE_SOURCE, err);
	dest->ctl = control_new(CONN(control[1]), COURSE_DEST, err);
	*memory = (struct conn){ .fd = frames[0] };
	dest->memory = (struct conn){ .fd = frames[1] };
	return walk_to(dest->source, dest->ctl, phase, err) ||
	       pthread_create(&dest->frames, NULL, fake_dest_frames, dest) ||
	       pthread_create(&dest->control, NULL, fake_dest_messages, dest) ? -1 : 0;
}

/* All that was sent has come, and is counted. A second call does nothing. */
static void fake_dest_end(struct fake_dest *dest, struct conn *memory)
{
	if (!conn_is_open(memory))
		return;
	conn_close(memory);
	pthread_join(dest->frames, NULL);
	control_shutdown(dest->source);
	pthread_join(dest->control, NULL);
}

static void fake_dest_close(struct fake_dest *dest)
{
	control_close(dest->source);
	control_close(dest->ctl);
	conn_close(&dest->memory);
}

#endif
