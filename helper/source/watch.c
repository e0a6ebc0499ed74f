// SPDX-License-Identifier: GPL-2.0
/* The thread at the source that watches signals, the program, the keeper, CRIU and the clock. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/report.h"
#include "source/outgoing.h"

/* What watch_body() waits for. */
enum { WATCH_KICK, WATCH_SIGNALS, WATCH_TARGET, WATCH_KEEPER, WATCH_DUMP, WATCHED };

static void on_signal(struct outgoing *out)
{
	struct signalfd_siginfo info;
	struct error err = { 0 };
	bool connected;

	if (read(out->sync.signals, &info, sizeof(info)) != sizeof(info))
		return;
	mailbox_lock(&out->box);
	connected = out->sync.connected;
	mailbox_unlock(&out->box);
	error_set(&err, CODE_ABORTED, NULL, "ended by a signal (%s)", strsignal(info.ssi_signo));
	if (!connected) {
		/* nothing was done to the program, and the keeper cleans up */
		report_error(&err);
		_exit(err.code);
	}
	if (outgoing_fail_unless_committed(out, &err, true))
		return;
	if (control_phase(out->ctl) < PHASE_STARTED)
		report_say("%s: the program was handed over; it is not known yet whether it runs there",
			   strsignal(info.ssi_signo));
	else
		report_say("%s: the program has moved already; its memory is still being sent",
			   strsignal(info.ssi_signo));
}

/*
 * What the descriptors of watch_body() say: the first failure. After COMMIT the guard stands
 * by itself: neither CRIU nor the keeper is needed to end it well.
 */
static void judge(struct outgoing *out, const struct pollfd *fds, bool committed)
{
	struct error err = { 0 };
	char log[PATH_MAX];

	if (fds[WATCH_TARGET].revents) {
		error_set(&err, CODE_TARGET, NULL, "process %d has exited or called exec",
			  out->opts->pid);
	} else if (committed) {
		if (fds[WATCH_KEEPER].revents)
			report_say("the keeper was killed; without this process nobody cleans up here");
	} else if (fds[WATCH_KEEPER].revents) {
		error_set(&err, CODE_INTERNAL, NULL, "the keeper was killed");
	} else if (fds[WATCH_DUMP].revents) {
		snprintf(log, sizeof(log), "CRIU's log may say why: %s/work/dump.log",
			 out->dir.path);
		error_set(&err, CODE_CRIU, log, "CRIU died while it held the program");
	}
	/* COMMIT may be recorded since @committed was looked at */
	if (error_is_set(&err))
		outgoing_fail_unless_committed(out, &err, !fds[WATCH_TARGET].revents);
}

/* --max-frozen has passed: whoever waits, for whatever it may be, comes back. */
static void too_long(struct outgoing *out)
{
	struct error err = { 0 };

	outgoing_limit(out, 0);
	error_set(&err, CODE_ABORTED, "look why it takes so long, or raise --max-frozen",
		  "the program stood for %u s, the limit of --max-frozen", out->opts->max_frozen_s);
	if (outgoing_fail_unless_committed(out, &err, true))
		control_shutdown(out->ctl);
}

/* Return: milliseconds for poll(), -1 when there is no limit */
static int limit_ms(struct outgoing *out)
{
	bool limited;

	mailbox_lock(&out->box);
	limited = out->sync.until_ns != 0;
	mailbox_unlock(&out->box);
	return limited ? outgoing_left_ms(out) : -1;
}

static void *watch_body(void *arg)
{
	struct outgoing *out = arg;
	struct outgoing_sync *sync = &out->sync;
	bool closing = false, lost_keeper = false;

	while (!closing) {
		struct pollfd fds[WATCHED] = {
			[WATCH_KICK] = { .fd = sync->kick, .events = POLLIN },
			[WATCH_SIGNALS] = { .fd = sync->signals, .events = POLLIN },
			/* only for their hang-up */
			[WATCH_TARGET] = { .fd = out->backend ? out->backend->gone_fd : -1,
					   .events = out->backend ? out->backend->gone_events : 0 },
			[WATCH_KEEPER] = { .fd = lost_keeper ? -1 : source_keeper_fd(out->keeper) },
			[WATCH_DUMP] = { .events = POLLIN },
		};
		bool committed;
		uint64_t count;
		int dump_fd, ret;

		mailbox_lock(&out->box);
		dump_fd = out->box.committed ? -1 : sync->dump_fd;
		/* once one failed the rest would only be seen again and again */
		if (out->box.failed)
			fds[WATCH_TARGET].fd = fds[WATCH_KEEPER].fd = dump_fd = -1;
		fds[WATCH_DUMP].fd = dump_fd;
		mailbox_unlock(&out->box);
		ret = poll(fds, WATCHED, limit_ms(out));
		if (!ret && !limit_ms(out))
			too_long(out);
		if (ret <= 0)
			continue;
		/* first: a kick that is consumed after the look would be a change that nobody sees */
		if (fds[WATCH_KICK].revents && read(sync->kick, &count, sizeof(count)) < 0)
			continue;
		mailbox_lock(&out->box);
		closing = out->box.closing;
		committed = out->box.committed;
		/* not that of a CRIU that is being let go */
		if (sync->dump_fd != dump_fd)
			fds[WATCH_DUMP].revents = 0;
		mailbox_unlock(&out->box);
		if (closing)
			continue;
		if (fds[WATCH_SIGNALS].revents)
			on_signal(out);
		judge(out, fds, committed);
		lost_keeper |= fds[WATCH_KEEPER].revents != 0;
	}
	return NULL;
}

int outgoing_start_watch(struct outgoing *out, struct error *err)
{
	errno = pthread_create(&out->watch_thread, NULL, watch_body, out);
	if (errno)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot start a thread");
	out->has_watch = true;
	return 0;
}
