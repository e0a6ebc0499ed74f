// SPDX-License-Identifier: GPL-2.0
/* What ends a migration at the source, and its threads but for the one that watches (watch.c). */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/report.h"
#include "source/outgoing.h"

#define REASON_MS	3000	/* how long to wait for the other side's reason */
#define SILENCE_MS	10000	/* for so long nothing is said of an answer that does not come */
#define VERDICT_MS	30000	/* more than the destination's keeper needs to end what it holds */

int outgoing_sync_init(struct outgoing *out, struct error *err)
{
	struct outgoing_sync *sync = &out->sync;
	sigset_t set;

	mailbox_init(&out->box, "the destination");
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	sync->dump_fd = -1;
	sync->rpc_fd = -1;
	sync->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sync->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sync->kick < 0 || sync->signals < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make an eventfd");
	return 0;
}

void outgoing_kick(struct outgoing *out)
{
	uint64_t one = 1;

	if (write(out->sync.kick, &one, sizeof(one)) < 0)
		return;
}

bool outgoing_fail_unless_committed(struct outgoing *out, const struct error *err, bool undoes)
{
	enum mailbox_fault fault;
	bool committed, tell;

	mailbox_lock(&out->box);
	fault = mailbox_fail_locked(&out->box, err, undoes);
	committed = out->box.committed;
	tell = out->sync.connected && !committed && err->code != CODE_NETWORK &&
	       err->code != CODE_PEER;
	if (fault == MAILBOX_FIRST && out->sync.rpc_fd >= 0)
		shutdown(out->sync.rpc_fd, SHUT_RDWR);
	mailbox_unlock(&out->box);
	if (fault != MAILBOX_FIRST)
		return fault == MAILBOX_LATER;
	/* before the other side sees connections close, and makes up a reason of its own */
	if (tell)
		control_send_abort(out->ctl, err, false);
	/* whoever waits inside of a SEND comes back */
	conn_shutdown(&out->memory_conn);
	conn_shutdown(&out->urgent_conn);
	/* the answer to COMMIT is worth waiting for */
	if (out->ctl && !committed)
		control_hurry(out->ctl);
	return true;
}

void outgoing_fail(struct outgoing *out, const struct error *err)
{
	outgoing_fail_unless_committed(out, err, false);
}

void outgoing_watch_rpc(void *ctx, int rpc_fd)
{
	struct outgoing *out = ctx;

	mailbox_lock(&out->box);
	out->sync.rpc_fd = rpc_fd;
	if (rpc_fd >= 0 && out->box.failed)
		shutdown(rpc_fd, SHUT_RDWR);
	mailbox_unlock(&out->box);
}

void outgoing_watch_dump(struct outgoing *out, int dump_fd)
{
	mailbox_lock(&out->box);
	out->sync.dump_fd = dump_fd;
	mailbox_unlock(&out->box);
	outgoing_kick(out);
}

void outgoing_limit(struct outgoing *out, uint64_t until_ns)
{
	mailbox_lock(&out->box);
	out->sync.until_ns = until_ns;
	mailbox_unlock(&out->box);
	outgoing_kick(out);
}

int outgoing_left_ms(struct outgoing *out)
{
	uint64_t now = clock_now_ns(), until;

	mailbox_lock(&out->box);
	until = out->sync.until_ns;
	mailbox_unlock(&out->box);
	return until > now ? (until - now) / 1000000 + 1 : 0;
}

void outgoing_reason(struct outgoing *out, struct error *err)
{
	struct error why = { 0 };

	/* the other side closes its connections a moment before it has said why */
	mailbox_wait_failure(&out->box,
			     out->has_control && err->code == CODE_NETWORK ? REASON_MS : 0);
	if (mailbox_failed(&out->box, &why))
		*err = why;
}

int outgoing_state(struct outgoing *out, const char *state, struct error *err)
{
	mailbox_wait_failure(&out->box, report_state_begin(state));
	return mailbox_failed(&out->box, err);
}

Migrate__Control *outgoing_verdict(struct outgoing *out, struct error *err)
{
	if (!mailbox_wait_message(&out->box, false, SILENCE_MS)) {
		report_say("the destination has not said yet whether the program runs there; it stands here until then");
		mailbox_wait_message(&out->box, false, -1);
	}
	mailbox_wait_message(&out->box, true, VERDICT_MS);
	return mailbox_expect(&out->box, MIGRATE__CONTROL__BODY_STARTED, 0, err);
}

int outgoing_commit(struct outgoing *out, struct error *err)
{
	int ret = mailbox_commit(&out->box, CODE_OK, err);

	outgoing_kick(out);
	return ret;
}

static void *control_body(void *arg)
{
	struct outgoing *out = arg;
	struct error err = { 0 };

	mailbox_receive(&out->box, out->ctl, &err);
	outgoing_fail(out, &err);
	mailbox_hang_up(&out->box);
	return NULL;
}

static int start_thread(pthread_t *thread, void *(*body)(void *), struct outgoing *out,
			bool *has, struct error *err)
{
	errno = pthread_create(thread, NULL, body, out);
	if (errno)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start a thread");
	*has = true;
	return 0;
}

int outgoing_start_threads(struct outgoing *out, void *(*urgent_body)(void *out),
			   struct error *err)
{
	mailbox_set(&out->box, &out->sync.connected);
	return start_thread(&out->control_thread, control_body, out, &out->has_control, err) ||
	       start_thread(&out->urgent_thread, urgent_body, out, &out->has_urgent, err) ? -1 : 0;
}

void outgoing_stop_watch(struct outgoing *out)
{
	mailbox_close(&out->box);
	outgoing_kick(out);
	if (out->has_watch)
		pthread_join(out->watch_thread, NULL);
	out->has_watch = false;
}

void outgoing_stop_threads(struct outgoing *out)
{
	outgoing_stop_watch(out);
	if (out->ctl)
		control_shutdown(out->ctl);
	conn_shutdown(&out->urgent_conn);
	if (out->has_control)
		pthread_join(out->control_thread, NULL);
	if (out->has_urgent)
		pthread_join(out->urgent_thread, NULL);
	out->has_control = out->has_urgent = false;
}
