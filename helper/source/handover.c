// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <string.h>
#include "base/clock.h"
#include "base/report.h"
#include "base/text.h"
#include "source/handover.h"

#define SILENCE_MS	10000	/* for so long nothing is said of an answer that does not come */
#define VERDICT_MS	30000	/* more than the destination's keeper needs to end what it holds */

Migrate__Control *handover_verdict(struct mailbox *box, struct error *err)
{
	if (!mailbox_wait_message(box, false, SILENCE_MS)) {
		report_say("the destination has not said yet whether the program runs there; it stands here until then");
		mailbox_wait_message(box, false, -1);
	}
	mailbox_wait_message(box, true, VERDICT_MS);
	return mailbox_expect(box, MIGRATE__CONTROL__BODY_STARTED, 0, err);
}

static int send_commit(struct control *ctl, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Commit commit = MIGRATE__COMMIT__INIT;

	msg.body_case = MIGRATE__CONTROL__BODY_COMMIT;
	msg.commit = &commit;
	return control_send(ctl, &msg, err);
}

/* A state of which a failure says nothing. */
static void enter(const struct handover *handover, const char *state)
{
	mailbox_wait_failure(handover->box, report_state_begin(state));
}

static int wait_started(const struct handover *handover, struct error *err)
{
	Migrate__Control *msg = handover_verdict(handover->box, err);
	struct figures *figures = handover->figures;

	if (!msg)
		return -1;
	figures->dest_pid = msg->started->pid;
	migrate__control__free_unpacked(msg, NULL);
	frozen_time_enter(&figures->frozen, 0);
	figures->frozen_ns = clock_now_ns() - handover->frozen_at_ns;
	report_say("the program (%s) runs there as process %u; it stood for %.3f s",
		   text_count(figures->processes, "process", "processes").text, figures->dest_pid,
		   figures->frozen_ns / 1e9);
	return 0;
}

static int wait_done(const struct handover *handover, bool *died, struct error *err)
{
	Migrate__Control *msg = mailbox_next(handover->box, -1, err);
	struct figures *figures = handover->figures;
	struct error ignored = { 0 };

	*died = msg && msg->body_case == MIGRATE__CONTROL__BODY_DIED;
	if (*died)
		lost_take(&figures->lost, msg->died->lost, msg->died->n_lost, &ignored);
	if (*died && figures->lost.nr)
		lost_error(&figures->lost, true, err);
	else if (*died)
		error_set(err, CODE_TARGET, NULL,
			  "the program was killed there by signal %u (%s), after it was started",
			  msg->died->signal, sigdescr_np(msg->died->signal) ?: "unknown");
	msg = control_expected(msg, MIGRATE__CONTROL__BODY_DONE, err);
	if (!msg)
		return -1;
	counts_from_done(&figures->counts, msg->done);
	fault_times_take(&figures->fault_times, msg->done->fault_times);
	lost_take(&figures->lost, msg->done->lost, msg->done->n_lost, &ignored);
	migrate__control__free_unpacked(msg, NULL);
	return 0;
}

/* Whether a broken connection matters is for the destination to say: it may have all. */
static void push(const struct handover *handover)
{
	struct error why = { 0 };

	if (push_run(handover->push, &why) && why.code != CODE_NETWORK)
		failure_raise(handover->failure, &why);
}

int handover_run(const struct handover *handover, bool *died, struct error *err)
{
	struct error lost = { 0 };

	enter(handover, "RECORDED");
	/* a destination that died before COMMIT came may have said so */
	if (send_commit(handover->ctl, &lost))
		failure_raise(handover->failure, &lost);
	enter(handover, "SENT");
	if (wait_started(handover, err))
		return -1;
	/* a message that came before a failure counts: wait_done() looks at the queue first */
	enter(handover, "POSTCOPY");
	push(handover);
	return wait_done(handover, died, err);
}
