// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/thread.h"
#include "wire/answers.h"
#include "wire/conn.h"
#include "wire/control.h"
#include "wire/liveness.h"
#include "wire/message.h"

#define HEARTBEAT_MS	1000
#define HEARTBEATS_LOST	4	/* fewest heartbeats in the time after which a link is lost */
#define ABORT_MS	1000
#define ABORT_TICK_MS	5

/**
 * struct control - see control.h
 * @conn: the connection, owned
 * @local: the peer is on this machine, so that only its heartbeats show that it lives (liveness.h)
 * @heart: thread that sends heartbeats, and looks whether the link is lost
 * @lock: held while a message is written, so that messages do not mix
 * @state_lock: protects @course, @unstarted, @stop, @hurry, @beat_ms, @lost_ms and @beat_now, so
 *	that closing never waits for a message; taken inside of @lock, or alone
 * @changed: wakes @heart
 * @beat_ms: time between two heartbeats
 * @lost_ms: silence after which the link is lost
 * @stop: @heart ends
 * @hurry: the migration ends: give a peer that does not read up after ABORT_MS
 * @beat_now: the next heartbeat is due at once
 * @broken: a message was written in part, so no message can follow
 * @unstarted: the peer's Abort said that it killed the program unstarted
 * @lost: the link was shut down after so many ms of silence; 0: it was not
 * @unanswered: and that was the silence of the other program, whose machine acknowledges
 * @answers: what the other program says, on any link
 * @sending_ms: start of the message that is being written; 0: there is none
 * @answer_by_ms: time by which the expected message must have come; 0: no limit
 * @answer_ms: the same as a duration, for the error text
 */
struct control {
	struct conn conn;
	bool local;
	pthread_t heart;
	pthread_mutex_t lock, state_lock;
	pthread_cond_t changed;
	struct course course;
	int beat_ms, lost_ms;
	bool stop, hurry, beat_now, broken, unstarted;
	atomic_int lost;
	atomic_bool unanswered;
	struct answers answers;
	atomic_llong sending_ms;
	int64_t answer_by_ms;
	int answer_ms;
};

/* A heartbeat never waits for @lock: a message that is being written serves as heartbeat. */
static void beat(struct control *ctl, struct liveness *live)
{
	uint8_t beat[] = { 3, 0, 0, 0, 0x9a, 1, 0 };	/* Heartbeat, field 19, empty */
	struct error ignored = { 0 };
	ssize_t n;

	if (pthread_mutex_trylock(&ctl->lock))
		return;
	n = ctl->broken ? -1 : conn_write_now(&ctl->conn, beat, sizeof(beat));
	if (n > 0 && n < (ssize_t)sizeof(beat) &&
	    conn_write(&ctl->conn, beat + n, sizeof(beat) - n, ABORT_MS, &ignored))
		ctl->broken = true;
	pthread_mutex_unlock(&ctl->lock);
	if (n > 0)
		liveness_asked(live);
}

/* Shut the link down, so that blocked threads return. */
static void give_up(struct control *ctl, int lost_ms)
{
	atomic_store(&ctl->lost, lost_ms);
	conn_shutdown(&ctl->conn);
}

static void look(struct control *ctl, struct liveness *live, int lost_ms, bool hurry)
{
	int64_t since = atomic_load(&ctl->sending_ms);

	if (!ctl->local && liveness_is_lost(live, lost_ms))
		give_up(ctl, lost_ms);
	else if (hurry && since && clock_now_ms() - since >= ABORT_MS)
		give_up(ctl, ABORT_MS);
	if (answers_are_lost(&ctl->answers) && !atomic_load(&ctl->lost)) {
		atomic_store(&ctl->unanswered, true);
		give_up(ctl, ctl->answers.lost_ms);
	}
}

static void *heart_main(void *arg)
{
	struct control *ctl = arg;
	struct liveness live;
	bool stop = false;

	liveness_init(&live, conn_link_fd(&ctl->conn));
	while (!stop && !atomic_load(&ctl->lost)) {
		struct timespec until;
		bool hurry;
		int lost_ms;

		pthread_mutex_lock(&ctl->state_lock);
		until = clock_in_ms(CLOCK_MONOTONIC, ctl->beat_ms);
		while (!ctl->stop && !ctl->beat_now &&
		       !pthread_cond_timedwait(&ctl->changed, &ctl->state_lock, &until))
			;
		ctl->beat_now = false;
		stop = ctl->stop;
		hurry = ctl->hurry;
		lost_ms = ctl->lost_ms;
		pthread_mutex_unlock(&ctl->state_lock);
		if (stop)
			break;
		look(ctl, &live, lost_ms, hurry);
		beat(ctl, &live);
	}
	return NULL;
}

struct control *control_new(struct conn *conn, enum course_side side, struct error *err)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	pthread_condattr_t attr;

	if (!ctl) {
		conn_close(conn);
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a connection");
		return NULL;
	}
	ctl->conn = *conn;
	*conn = CONN_NONE;
	ctl->local = liveness_is_local(conn_link_fd(&ctl->conn));
	ctl->beat_ms = HEARTBEAT_MS;
	ctl->lost_ms = CONN_LOST_MS;
	answers_init(&ctl->answers);
	course_init(&ctl->course, side);
	pthread_mutex_init(&ctl->lock, NULL);
	pthread_mutex_init(&ctl->state_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ctl->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (thread_start(&ctl->heart, heart_main, ctl, err)) {
		conn_close(&ctl->conn);
		free(ctl);
		return NULL;
	}
	return ctl;
}

void control_close(struct control *ctl)
{
	if (!ctl)
		return;
	pthread_mutex_lock(&ctl->state_lock);
	ctl->stop = true;
	pthread_cond_signal(&ctl->changed);
	pthread_mutex_unlock(&ctl->state_lock);
	pthread_join(ctl->heart, NULL);
	conn_close(&ctl->conn);
	pthread_cond_destroy(&ctl->changed);
	pthread_mutex_destroy(&ctl->state_lock);
	pthread_mutex_destroy(&ctl->lock);
	free(ctl);
}

static void set_pace(struct control *ctl, int lost_ms, bool hurry)
{
	pthread_mutex_lock(&ctl->state_lock);
	ctl->lost_ms = lost_ms;
	ctl->hurry |= hurry;
	ctl->beat_ms = HEARTBEAT_MS;
	if (lost_ms < HEARTBEATS_LOST * HEARTBEAT_MS)
		ctl->beat_ms = lost_ms / HEARTBEATS_LOST;
	ctl->beat_now = true;
	pthread_cond_signal(&ctl->changed);
	pthread_mutex_unlock(&ctl->state_lock);
}

void control_set_lost(struct control *ctl, unsigned int lost_ms)
{
	set_pace(ctl, lost_ms ? (int)lost_ms : CONN_LOST_MS, false);
}

void control_hurry(struct control *ctl)
{
	/* a shorter pace, so that @heart looks several times within ABORT_MS */
	set_pace(ctl, ABORT_MS, true);
}

int control_link_fd(const struct control *ctl)
{
	return conn_link_fd(&ctl->conn);
}

void control_shutdown(struct control *ctl)
{
	conn_shutdown(&ctl->conn);
}

enum course_phase control_phase(struct control *ctl)
{
	enum course_phase phase;

	pthread_mutex_lock(&ctl->state_lock);
	phase = ctl->course.phase;
	pthread_mutex_unlock(&ctl->state_lock);
	return phase;
}

bool control_is_unstarted(struct control *ctl)
{
	bool unstarted;

	pthread_mutex_lock(&ctl->state_lock);
	unstarted = ctl->unstarted;
	pthread_mutex_unlock(&ctl->state_lock);
	return unstarted;
}

static int enter(struct control *ctl, Migrate__Control__BodyCase body, struct error *err)
{
	int ret;

	pthread_mutex_lock(&ctl->state_lock);
	ret = course_send(&ctl->course, body, err);
	pthread_mutex_unlock(&ctl->state_lock);
	return ret;
}

/* The caller holds @lock. */
static int send_locked(struct control *ctl, Migrate__Control__BodyCase body, const uint8_t *buf,
		       size_t bytes, int timeout_ms, struct error *err)
{
	int ret;

	if (ctl->broken)
		return error_set(err, CODE_NETWORK, NULL, "link lost: control is closed");
	if (enter(ctl, body, err))
		return -1;
	atomic_store(&ctl->sending_ms, clock_now_ms());
	ret = conn_write(&ctl->conn, buf, bytes, timeout_ms, err);
	atomic_store(&ctl->sending_ms, 0);
	ctl->broken = ret;
	return ret;
}

int control_send(struct control *ctl, const Migrate__Control *msg, struct error *err)
{
	size_t bytes;
	uint8_t *buf = message_pack(msg, &bytes, err);
	int ret;

	if (!buf)
		return -1;
	pthread_mutex_lock(&ctl->lock);
	ret = send_locked(ctl, msg->body_case, buf, bytes, 0, err);
	pthread_mutex_unlock(&ctl->lock);
	free(buf);
	return ret;
}

/* By the monotonic clock, which nobody sets. The thread sanitizer does not know pthread_mutex_clocklock(). */
static bool lock_within(struct control *ctl, int timeout_ms)
{
	const struct timespec tick = { .tv_nsec = ABORT_TICK_MS * 1000000 };
	int64_t until = clock_now_ms() + timeout_ms;

	while (pthread_mutex_trylock(&ctl->lock)) {
		if (clock_now_ms() >= until)
			return false;
		nanosleep(&tick, NULL);
	}
	return true;
}

void control_send_abort(struct control *ctl, const struct error *why, bool unstarted)
{
	struct error ignored = { 0 };
	size_t bytes;
	uint8_t *buf;

	control_hurry(ctl);
	buf = message_pack_abort(why, unstarted, &bytes, &ignored);
	if (buf && lock_within(ctl, ABORT_MS)) {
		send_locked(ctl, MIGRATE__CONTROL__BODY_ABORT, buf, bytes, ABORT_MS, &ignored);
		pthread_mutex_unlock(&ctl->lock);
	}
	free(buf);
}

/* Return: time-out of one read in ms; -1: none, since @heart ends a lost link */
static int patience_ms(const struct control *ctl)
{
	int64_t left = ctl->answer_by_ms - clock_now_ms();

	if (!ctl->answer_by_ms)
		return ctl->local ? CONN_LOST_MS : -1;
	if (ctl->local && left > CONN_LOST_MS)
		return CONN_LOST_MS;
	return left > 1 ? left : 1;
}

static bool is_late(const struct control *ctl)
{
	return ctl->answer_by_ms && clock_now_ms() >= ctl->answer_by_ms;
}

static int too_late(const struct control *ctl, struct error *err)
{
	return error_set(err, CODE_NETWORK, NULL, "the other side did not answer within %d ms",
			 ctl->answer_ms);
}

/* Each part of a message that takes long is a sign of life. */
static int read_parts(struct control *ctl, char *at, size_t bytes, struct error *err)
{
	while (bytes) {
		ssize_t n;

		answers_await(&ctl->answers, true);
		n = conn_read_some(&ctl->conn, at, bytes, patience_ms(ctl), err);
		answers_await(&ctl->answers, false);
		if (n <= 0)
			return n ? -1 : conn_lost(&ctl->conn, "the other side closed it", err);
		answers_came(&ctl->answers);
		at += n;
		bytes -= n;
	}
	return 0;
}

/* The error names the silence when @heart has shut the link down. */
static int read_all(struct control *ctl, void *buf, size_t bytes, struct error *err)
{
	struct error why = { 0 };
	int lost;

	if (!read_parts(ctl, buf, bytes, &why))
		return 0;
	lost = atomic_load(&ctl->lost);
	if (lost)
		return error_set(err, CODE_NETWORK, NULL, atomic_load(&ctl->unanswered) ?
				 "link lost: nothing came from the other program for %d ms" :
				 "link lost: the other machine acknowledged nothing for %d ms",
				 lost);
	if (is_late(ctl))
		return too_late(ctl, err);
	*err = why;
	return -1;
}

static int check_head(struct control *ctl, Migrate__Control__BodyCase body, uint32_t bytes,
		      struct error *err)
{
	int ret;

	pthread_mutex_lock(&ctl->state_lock);
	ret = course_check(&ctl->course, body, bytes, err);
	pthread_mutex_unlock(&ctl->state_lock);
	return ret;
}

static Migrate__Control *recv_any(struct control *ctl, size_t *bytes, struct error *err)
{
	uint8_t head[MESSAGE_HEAD_BYTES], *buf;
	Migrate__Control *msg = NULL;
	uint32_t length, first;

	if (read_all(ctl, &length, sizeof(length), err))
		return NULL;
	length = le32toh(length);
	*bytes = length;
	first = length < MESSAGE_HEAD_BYTES ? length : MESSAGE_HEAD_BYTES;
	/* the head is checked before memory is allocated for the body */
	if (read_all(ctl, head, first, err) ||
	    check_head(ctl, message_kind(head, first), length, err))
		return NULL;
	buf = malloc(length);
	if (!buf) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a message");
		return NULL;
	}
	memcpy(buf, head, first);
	if (!read_all(ctl, buf + first, length - first, err))
		msg = message_unpack(buf, length, err);
	free(buf);
	return msg;
}

static int check_body(struct control *ctl, const Migrate__Control *msg, size_t bytes,
		      struct error *err)
{
	int ret;

	if (msg->body_case == MIGRATE__CONTROL__BODY__NOT_SET)
		return error_set(err, CODE_PEER, "use the same version on both sides",
				 "the other side sent a message that this version does not know");
	pthread_mutex_lock(&ctl->state_lock);
	ret = course_receive(&ctl->course, msg->body_case, bytes, err);
	if (!ret && msg->body_case == MIGRATE__CONTROL__BODY_ABORT)
		ctl->unstarted = msg->abort->unstarted;
	pthread_mutex_unlock(&ctl->state_lock);
	if (ret || msg->body_case != MIGRATE__CONTROL__BODY_ABORT)
		return ret;
	return error_set(err, msg->abort->code == CODE_VERIFY ? CODE_VERIFY : CODE_PEER, NULL,
			 "the other side gave up: %s", msg->abort->reason);
}

bool control_is_big(const Migrate__Control *msg)
{
	return msg->body_case == MIGRATE__CONTROL__BODY_SETUP ||
	       msg->body_case == MIGRATE__CONTROL__BODY_NEEDS ||
	       msg->body_case == MIGRATE__CONTROL__BODY_RESTORE_GO ||
	       msg->body_case == MIGRATE__CONTROL__BODY_MAPS;
}

Migrate__Control *control_recv(struct control *ctl, int timeout_ms, struct error *err)
{
	ctl->answer_ms = timeout_ms;
	ctl->answer_by_ms = timeout_ms < 0 ? 0 : clock_now_ms() + timeout_ms;
	for (;;) {
		size_t bytes = 0;
		Migrate__Control *msg = recv_any(ctl, &bytes, err);

		if (!msg)
			return NULL;
		if (check_body(ctl, msg, bytes, err)) {
			migrate__control__free_unpacked(msg, NULL);
			return NULL;
		}
		if (msg->body_case != MIGRATE__CONTROL__BODY_HEARTBEAT)
			return msg;
		migrate__control__free_unpacked(msg, NULL);
		if (is_late(ctl)) {
			too_late(ctl, err);
			return NULL;
		}
	}
}

Migrate__Control *control_expected(Migrate__Control *msg, Migrate__Control__BodyCase body_case,
				   struct error *err)
{
	if (!msg || msg->body_case == body_case)
		return msg;
	error_set(err, CODE_PEER, NULL, "the other side sent %s where %s was expected",
		  course_body_name(msg->body_case), course_body_name(body_case));
	migrate__control__free_unpacked(msg, NULL);
	return NULL;
}

Migrate__Control *control_expect(struct control *ctl, Migrate__Control__BodyCase body_case,
				 int timeout_ms, struct error *err)
{
	return control_expected(control_recv(ctl, timeout_ms, err), body_case, err);
}

int control_send_hello(struct control *ctl, uint32_t streams, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Hello hello = MIGRATE__HELLO__INIT;
	char hostname[128] = "";

	gethostname(hostname, sizeof(hostname) - 1);
	hello.version = PROTOCOL_VERSION;
	hello.software = "migrate-helper " VERSION;
	hello.hostname = hostname;
	hello.has_streams = true;
	hello.streams = streams;
	msg.body_case = MIGRATE__CONTROL__BODY_HELLO;
	msg.hello = &hello;
	return control_send(ctl, &msg, err);
}
