// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/end_signals.h"
#include "base/thread.h"
#include "dest/tell.h"
#include "dest/watchdog.h"

#define UNDO_TIMEOUT_MS		120000	/* more than a keeper has that does not answer */
#define POLL_MS			200

int watchdog_init(struct watchdog *watchdog, struct error *err)
{
	signal(SIGHUP, SIG_IGN);
	watchdog->undo_ms = UNDO_TIMEOUT_MS;
	watchdog->signals = end_signals_open(err);
	return watchdog->signals < 0 ? -1 : 0;
}

static void on_signal(struct watchdog *watchdog)
{
	int signo = end_signals_take(watchdog->signals);
	struct error err = { 0 };

	if (!signo)
		return;
	if (mailbox_is_committed(&watchdog->peer->box)) {
		tell("warning", NULL,
		     "%s: the program runs here already and needs this process until its memory is complete",
		     strsignal(signo));
		return;
	}
	if (watchdog->place && atomic_load(&watchdog->place->evicted))
		error_set(&err, CODE_ABORTED, "migrate again",
			  "ended for another migration, which needs its place or its memory: nothing came from this source for a while");
	else
		error_set(&err, CODE_ABORTED, NULL, "ended by a signal (%s)",
			  strsignal(signo));
	peer_fail_unless_committed(watchdog->peer, &err);
}

/*
 * The main thread may wait in the kernel for a page that will not come. The keeper ends what was
 * restored when this process ends.
 */
static void end_stuck(struct watchdog *watchdog, int64_t *failed_ms)
{
	struct error err = { 0 };

	if (mailbox_is_committed(&watchdog->peer->box) || !mailbox_failed(&watchdog->peer->box, &err))
		return;
	if (!*failed_ms)
		*failed_ms = clock_now_ms();
	if (clock_now_ms() - *failed_ms < watchdog->undo_ms)
		return;
	tell("warning", NULL, "%s; what was begun could not be ended in order", err.what);
	_exit(err.code);
}

static void *watchdog_body(void *arg)
{
	struct watchdog *watchdog = arg;
	bool said_keeper = false, said_init = false;
	int64_t failed_ms = 0;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = watchdog->signals, .events = POLLIN },
			{ .fd = said_keeper ? -1 : keeper_fd(watchdog->keeper) },
			{ .fd = said_init ? -1 : atomic_load(&watchdog->program->init_fd),
			  .events = POLLIN },
		};
		struct error err = { 0 };

		if (poll(fds, 3, POLL_MS) < 0)
			continue;
		end_stuck(watchdog, &failed_ms);
		if (fds[0].revents)
			on_signal(watchdog);
		if (fds[1].revents)
			error_set(&err, CODE_INTERNAL, NULL, "the keeper was killed");
		else if (fds[2].revents)
			error_set(&err, CODE_TARGET, NULL,
				  "the restored program and its namespace were killed");
		said_keeper |= fds[1].revents != 0;
		said_init |= fds[2].revents != 0;
		if (error_is_set(&err))
			peer_fail_unless_committed(watchdog->peer, &err);
	}
	return NULL;
}

int watchdog_start(struct watchdog *watchdog, struct error *err)
{
	pthread_t thread;

	if (thread_start(&thread, watchdog_body, watchdog, err))
		return -1;
	pthread_detach(thread);
	return 0;
}
