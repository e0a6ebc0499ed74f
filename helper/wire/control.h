/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_WIRE_CONTROL_H
#define MIGRATE_WIRE_CONTROL_H

#include "control.pb-c.h"	/* generated from control.proto: Migrate__Control … */
#include "wire/conn.h"
#include <stdbool.h>
#include "base/error.h"
#include "wire/course.h"

#define NEEDS_ASKED_MAX		6	/* Needs in one migration */
#define PROTOCOL_VERSION	6	/* of all connections; both sides must have the same */

/**
 * struct control - the control connection of one migration
 *
 * Several threads may send; one thread receives. A thread of the control connection sends a
 * Heartbeat each second, or more often, and looks whether the link is lost. control_recv() drops
 * Heartbeats, and turns an Abort of the peer into an error with the peer's reason: CODE_VERIFY when
 * that was the peer's code, else CODE_PEER. A message that is not legal in the migration's phase is
 * an error (CODE_PEER) too.
 */
struct control;

/** control_new() - take @conn over, and start heartbeats; a failure closes @conn too */
struct control *control_new(struct conn *conn, enum course_side side, struct error *err);
void control_close(struct control *ctl);
/** control_link_fd() - conn_link_fd() of the connection */
int control_link_fd(const struct control *ctl);
/** control_shutdown() - shut the socket down so that blocked threads return */
void control_shutdown(struct control *ctl);

/**
 * control_set_lost() - set how soon a silent link counts as lost
 * @lost_ms: longest silence of the other machine's kernel; 0: CONN_LOST_MS
 *
 * The peer's program may be slow: for ANSWERS_LOST_MS only its kernel must answer (wire/liveness.h), and then its
 * heartbeats count alone (wire/answers.h), since whoever is on the path can answer like a kernel. When the peer is
 * on this machine (a tunnel, a UNIX socket), the link is lost after CONN_LOST_MS without a
 * heartbeat.
 */
void control_set_lost(struct control *ctl, unsigned int lost_ms);

/** control_hurry() - the migration ends: give up a peer that takes no message for a second */
void control_hurry(struct control *ctl);

/**
 * control_send() - send @msg, which must be legal in the migration's phase
 *
 * The function enters the phase that @msg opens before it sends the first byte: the other side's
 * answer belongs to that phase.
 */
int control_send(struct control *ctl, const Migrate__Control *msg, struct error *err);
/**
 * control_send_abort() - try to send an Abort, for a second at most; calls control_hurry()
 * @unstarted: said by a destination: no task of the program ever ran, and none is left
 */
void control_send_abort(struct control *ctl, const struct error *why, bool unstarted);

/** control_phase() - phase of the migration, after all messages sent and received so far */
enum course_phase control_phase(struct control *ctl);

/** control_is_unstarted() - the destination said that it killed the program unstarted */
bool control_is_unstarted(struct control *ctl);

/**
 * control_recv() - next message; free it with migrate__control__free_unpacked(msg, NULL)
 * @timeout_ms: longest wait for a message that is no heartbeat; -1: as long as heartbeats come
 *
 * The first message is one Hello, or an Abort. The function refuses a message that is longer than
 * its kind may be before it allocates memory for the message.
 */
Migrate__Control *control_recv(struct control *ctl, int timeout_ms, struct error *err);

/** control_is_big() - @msg takes many times the memory of others: the caller keeps one at a time */
bool control_is_big(const Migrate__Control *msg);

/** control_send_hello() - send Hello, the first message: host, version, protocol, and Hello.streams */
int control_send_hello(struct control *ctl, uint32_t streams, struct error *err);

/** control_expected() - @msg when its body is @body_case; else free it and return NULL with @err */
Migrate__Control *control_expected(Migrate__Control *msg, Migrate__Control__BodyCase body_case,
				   struct error *err);

/** control_expect() - control_recv() that fails with CODE_PEER unless the body is @body_case */
Migrate__Control *control_expect(struct control *ctl, Migrate__Control__BodyCase body_case,
				 int timeout_ms, struct error *err);

#endif
