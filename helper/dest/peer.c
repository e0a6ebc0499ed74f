// SPDX-License-Identifier: GPL-2.0
#include "base/report.h"
#include "base/thread.h"
#include "dest/peer.h"

static void cancel(void *ctx)
{
	struct peer *peer = ctx;

	peer->hooks.cancel(peer->hooks.ctx);
}

static void failed(void *ctx, const struct error *err, bool committed)
{
	struct peer *peer = ctx;

	if (!committed)
		peer->hooks.failed(peer->hooks.ctx);
	if (peer->ctl)
		control_hurry(peer->ctl);
}

static const struct failure_hooks failure_hooks = { .cancel = cancel, .failed = failed };

void peer_init(struct peer *peer, const struct peer_hooks *hooks)
{
	*peer = (struct peer){
		.failure = { .box = &peer->box, .hooks = &failure_hooks, .ctx = peer },
		.hooks = *hooks,
	};
	mailbox_init(&peer->box, "the source");
}

int peer_open(struct peer *peer, struct conn *conn, struct error *err)
{
	peer->ctl = control_new(conn, COURSE_DEST, err);
	return peer->ctl ? 0 : -1;
}

static void *control_body(void *arg)
{
	struct peer *peer = arg;

	failure_receive(&peer->failure, peer->ctl);
	return NULL;
}

int peer_start(struct peer *peer, struct error *err)
{
	return thread_start(&peer->thread, control_body, peer, err);
}

void peer_fail(struct peer *peer, const struct error *err)
{
	failure_raise(&peer->failure, err);
}

void peer_fail_unless_committed(struct peer *peer, const struct error *err)
{
	failure_raise_unless_committed(&peer->failure, err, true);
}

void peer_state(struct peer *peer, const char *state)
{
	mailbox_wait_failure(&peer->box, report_state_begin(state));
}

int peer_wait(struct peer *peer, const bool *flag, int timeout_ms, const char *what,
	      struct error *err)
{
	int ret = mailbox_wait(&peer->box, flag, timeout_ms, err);

	return ret <= 0 ? ret : error_set(err, CODE_PEER, NULL, "%s did not come within %d ms",
					  what, timeout_ms);
}

int peer_commit(struct peer *peer, struct error *err)
{
	return mailbox_commit(&peer->box, CODE_NETWORK, err);
}
