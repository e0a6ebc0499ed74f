/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_WIRE_CONTROL_H
#define MIGRATE_WIRE_CONTROL_H

#include "control.pb-c.h"	/* generated from control.proto: Migrate__Control … */
#include "wire/conn.h"
#include <stdbool.h>
#include "base/error.h"
#include "wire/course.h"

#define PROTOCOL_VERSION	4	/* of all that goes over the connections; both sides speak the same */

/**
 * struct control - the control connection of one migration
 *
 * Sending is safe from several threads; receiving is for one. A thread of its own sends a
 * Heartbeat each second, or more often, and looks whether the link is lost. control_recv() drops
 * Heartbeats and turns an Abort of the peer into an error (CODE_PEER, or CODE_VERIFY when it was
 * that, with the peer's reason in the text). A message that is not legal in the phase that the
 * migration is in is an error (CODE_PEER) too.
 */
struct control;

/** control_new() - takes @conn over, and closes it at a failure; starts heartbeats */
struct control *control_new(struct conn *conn, enum course_side side, struct error *err);
void control_close(struct control *ctl);
int control_fd(const struct control *ctl);
/* nothing may be sent from other connections' failures: shut it down so that all threads notice */
void control_shutdown(struct control *ctl);

/**
 * control_set_lost() - how soon a silent link counts as lost
 * @lost_ms: for so long the other machine's kernel answers nothing; 0: CONN_LOST_MS
 *
 * Its program may be as slow as it likes: only its kernel is listened to (wire/liveness.h). Where that
 * is this machine's kernel (a tunnel, a UNIX socket), the link is lost when no heartbeat comes for
 * CONN_LOST_MS.
 */
void control_set_lost(struct control *ctl, unsigned int lost_ms);

/** control_hurry() - the migration ends: a peer that takes no message for a second is given up */
void control_hurry(struct control *ctl);

/**
 * control_send() - send @msg, which must be legal in the phase that the migration is in
 *
 * The phase that @msg opens is entered before its first byte is sent, so that the other side's
 * answer finds it.
 */
int control_send(struct control *ctl, const Migrate__Control *msg, struct error *err);
/**
 * control_send_abort() - best effort, never blocks longer than a second; control_hurry()
 * @unstarted: the destination says: nothing of the program ever ran, nothing of it is left
 */
void control_send_abort(struct control *ctl, const struct error *why, bool unstarted);

/** control_phase() - where the migration is, after what has been sent and received */
enum course_phase control_phase(struct control *ctl);

/** control_is_unstarted() - the destination said that it killed the program unstarted */
bool control_is_unstarted(struct control *ctl);

/**
 * control_recv() - next message; free it with migrate__control__free_unpacked(msg, NULL)
 *
 * The first one, but for an Abort, is Hello, and there is one. A message that is longer than its
 * kind may be is refused before memory is taken for it.
 * @timeout_ms: longest wait for a message that is no heartbeat; -1: as long as heartbeats come
 */
Migrate__Control *control_recv(struct control *ctl, int timeout_ms, struct error *err);

/** control_is_big() - one whose memory is many times that of others: do not keep several */
bool control_is_big(const Migrate__Control *msg);

/** control_send_hello() - the first message: who we are, and which protocol we speak */
int control_send_hello(struct control *ctl, struct error *err);

/** control_expected() - @msg, unless its body is another: then it is freed. NULL stays NULL */
Migrate__Control *control_expected(Migrate__Control *msg, Migrate__Control__BodyCase body_case,
				   struct error *err);

/** control_expect() - control_recv() that fails with CODE_PEER unless the body is @body_case */
Migrate__Control *control_expect(struct control *ctl, Migrate__Control__BodyCase body_case,
				 int timeout_ms, struct error *err);

#endif
