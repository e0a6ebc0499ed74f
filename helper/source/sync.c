// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "source/outgoing.h"
#include "ui/report.h"
#include "wire/deadline.h"

#define REASON_MS	3000	/* how long to wait for the other side's reason */
#define SILENCE_MS	10000	/* for so long nothing is said of an answer that does not come */
#define VERDICT_MS	30000	/* more than the destination's keeper needs to end what it holds */

/* What watch_body() waits for. */
enum { WATCH_KICK, WATCH_SIGNALS, WATCH_TARGET, WATCH_KEEPER, WATCH_DUMP, WATCHED };

int outgoing_sync_init(struct outgoing *out, struct error *err)
{
	struct outgoing_sync *sync = &out->sync;
	pthread_condattr_t attr;
	sigset_t set;

	pthread_mutex_init(&sync->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&sync->changed, &attr);
	pthread_condattr_destroy(&attr);
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

static void kick(struct outgoing *out)
{
	uint64_t one = 1;

	if (write(out->sync.kick, &one, sizeof(one)) < 0)
		return;
}

/*
 * @undoes: it ends the migration only before COMMIT; after it, it would take from the program
 *	that runs elsewhere the pages that are here
 * Return: false when COMMIT is, or is being, recorded, and nothing was done for that reason
 */
static bool fail(struct outgoing *out, const struct error *err, bool undoes)
{
	struct outgoing_sync *sync = &out->sync;
	bool first, tell, hurry;

	pthread_mutex_lock(&sync->lock);
	if (undoes && sync->committed) {
		pthread_mutex_unlock(&sync->lock);
		return false;
	}
	first = !sync->closing && !sync->failed;
	hurry = out->ctl && !sync->committed;
	tell = sync->connected && !sync->committed && err->code != CODE_NETWORK &&
	       err->code != CODE_PEER;
	if (first) {
		sync->failed = true;
		sync->err = *err;
		if (sync->rpc_fd >= 0)
			shutdown(sync->rpc_fd, SHUT_RDWR);
	}
	pthread_cond_broadcast(&sync->changed);
	pthread_mutex_unlock(&sync->lock);
	if (!first)
		return true;
	/* before the other side sees connections close, and makes up a reason of its own */
	if (tell)
		control_send_abort(out->ctl, err, false);
	/* whoever waits inside of a SEND comes back */
	shutdown(out->memory_fd, SHUT_RDWR);
	shutdown(out->urgent_fd, SHUT_RDWR);
	/* the answer to COMMIT is worth waiting for */
	if (hurry)
		control_hurry(out->ctl);
	return true;
}

void outgoing_fail(struct outgoing *out, const struct error *err)
{
	fail(out, err, false);
}

void outgoing_watch_rpc(void *ctx, int rpc_fd)
{
	struct outgoing *out = ctx;
	struct outgoing_sync *sync = &out->sync;

	pthread_mutex_lock(&sync->lock);
	sync->rpc_fd = rpc_fd;
	if (rpc_fd >= 0 && sync->failed)
		shutdown(rpc_fd, SHUT_RDWR);
	pthread_mutex_unlock(&sync->lock);
}

void outgoing_limit(struct outgoing *out, uint64_t until_ns)
{
	pthread_mutex_lock(&out->sync.lock);
	out->sync.until_ns = until_ns;
	pthread_mutex_unlock(&out->sync.lock);
	kick(out);
}

int outgoing_left_ms(struct outgoing *out)
{
	uint64_t now = figures_now(), until;

	pthread_mutex_lock(&out->sync.lock);
	until = out->sync.until_ns;
	pthread_mutex_unlock(&out->sync.lock);
	return until > now ? (until - now) / 1000000 + 1 : 0;
}

int outgoing_failed(struct outgoing *out, struct error *err)
{
	struct outgoing_sync *sync = &out->sync;
	int ret = 0;

	pthread_mutex_lock(&sync->lock);
	if (sync->failed) {
		*err = sync->err;
		ret = -1;
	}
	pthread_mutex_unlock(&sync->lock);
	return ret;
}

void outgoing_reason(struct outgoing *out, struct error *err)
{
	struct outgoing_sync *sync = &out->sync;
	struct timespec until = deadline_in(CLOCK_MONOTONIC, err->code == CODE_NETWORK ? REASON_MS : 0);
	int late = !out->has_control;

	/* the other side closes its connections a moment before it has said why */
	pthread_mutex_lock(&sync->lock);
	while (!sync->failed && !late)
		late = pthread_cond_timedwait(&sync->changed, &sync->lock, &until);
	if (sync->failed)
		*err = sync->err;
	pthread_mutex_unlock(&sync->lock);
}

int outgoing_state(struct outgoing *out, const char *state, struct error *err)
{
	struct outgoing_sync *sync = &out->sync;
	int ms = report_state_begin(state);
	struct timespec until = deadline_in(CLOCK_MONOTONIC, ms);

	pthread_mutex_lock(&sync->lock);
	while (ms && !sync->failed &&
	       !pthread_cond_timedwait(&sync->changed, &sync->lock, &until))
		;
	pthread_mutex_unlock(&sync->lock);
	return outgoing_failed(out, err);
}

/* Lock held. */
static Migrate__Control *take(struct outgoing_sync *sync)
{
	Migrate__Control *msg;

	if (!sync->nr_queue)
		return NULL;
	msg = sync->queue[0];
	sync->nr_queue--;
	memmove(sync->queue, sync->queue + 1, sync->nr_queue * sizeof(*sync->queue));
	pthread_cond_broadcast(&sync->changed);
	return msg;
}

Migrate__Control *outgoing_next(struct outgoing *out, int timeout_ms, struct error *err)
{
	struct outgoing_sync *sync = &out->sync;
	struct timespec until = deadline_in(CLOCK_MONOTONIC, timeout_ms < 0 ? 0 : timeout_ms);
	Migrate__Control *msg;
	int late = 0;

	pthread_mutex_lock(&sync->lock);
	while (!sync->nr_queue && !sync->failed && !late)
		late = timeout_ms < 0 ? pthread_cond_wait(&sync->changed, &sync->lock) :
		       pthread_cond_timedwait(&sync->changed, &sync->lock, &until);
	msg = take(sync);
	if (!msg && sync->failed)
		*err = sync->err;
	else if (!msg)
		error_set(err, CODE_NETWORK, NULL,
			  "nothing came from the destination for %d ms", timeout_ms);
	pthread_mutex_unlock(&sync->lock);
	return msg;
}

Migrate__Control *outgoing_expect(struct outgoing *out, Migrate__Control__BodyCase body,
				  int timeout_ms, struct error *err)
{
	return control_expected(outgoing_next(out, timeout_ms, err), body, err);
}

/* Until there is a message, or control has hung up, or, unless @failed, a failure. -1: it is late */
static int wait_verdict(struct outgoing *out, bool failed, int timeout_ms)
{
	struct outgoing_sync *sync = &out->sync;
	struct timespec until = deadline_in(CLOCK_MONOTONIC, timeout_ms < 0 ? 0 : timeout_ms);
	int late = 0;

	pthread_mutex_lock(&sync->lock);
	while (!sync->nr_queue && !sync->hung_up && (failed || !sync->failed) && !late)
		late = timeout_ms < 0 ? pthread_cond_wait(&sync->changed, &sync->lock) :
		       pthread_cond_timedwait(&sync->changed, &sync->lock, &until);
	pthread_mutex_unlock(&sync->lock);
	return late ? -1 : 0;
}

Migrate__Control *outgoing_verdict(struct outgoing *out, struct error *err)
{
	struct outgoing_sync *sync = &out->sync;
	Migrate__Control *msg;

	if (wait_verdict(out, false, SILENCE_MS)) {
		report_say("the destination has not said yet whether the program runs there; it stands here until then");
		wait_verdict(out, false, -1);
	}
	wait_verdict(out, true, VERDICT_MS);
	pthread_mutex_lock(&sync->lock);
	msg = take(sync);
	if (!msg)
		*err = sync->err;
	pthread_mutex_unlock(&sync->lock);
	return control_expected(msg, MIGRATE__CONTROL__BODY_STARTED, err);
}

void outgoing_watch_dump(struct outgoing *out, int dump_fd)
{
	pthread_mutex_lock(&out->sync.lock);
	out->sync.dump_fd = dump_fd;
	pthread_mutex_unlock(&out->sync.lock);
	kick(out);
}

int outgoing_commit(struct outgoing *out, struct error *err)
{
	struct outgoing_sync *sync = &out->sync;

	/* under the lock a failure is either before it, and undoes, or after it, and does not */
	pthread_mutex_lock(&sync->lock);
	if (sync->failed)
		*err = sync->err;
	else
		sync->committed = true;
	pthread_mutex_unlock(&sync->lock);
	kick(out);
	return error_is_set(err) ? -1 : 0;
}

void outgoing_uncommit(struct outgoing *out)
{
	pthread_mutex_lock(&out->sync.lock);
	out->sync.committed = false;
	pthread_mutex_unlock(&out->sync.lock);
}

static void *control_body(void *arg)
{
	struct outgoing *out = arg;
	struct outgoing_sync *sync = &out->sync;

	for (;;) {
		struct error err = { 0 };
		Migrate__Control *msg = control_recv(out->ctl, -1, &err);

		if (!msg) {
			outgoing_fail(out, &err);
			pthread_mutex_lock(&sync->lock);
			sync->hung_up = true;
			pthread_cond_broadcast(&sync->changed);
			pthread_mutex_unlock(&sync->lock);
			return NULL;
		}
		pthread_mutex_lock(&sync->lock);
		while (sync->nr_queue == OUTGOING_QUEUE && !sync->closing)
			pthread_cond_wait(&sync->changed, &sync->lock);
		if (sync->nr_queue == OUTGOING_QUEUE)
			migrate__control__free_unpacked(msg, NULL);
		else
			sync->queue[sync->nr_queue++] = msg;
		pthread_cond_broadcast(&sync->changed);
		pthread_mutex_unlock(&sync->lock);
	}
}

static void on_signal(struct outgoing *out)
{
	struct signalfd_siginfo info;
	struct error err = { 0 };
	bool connected;

	if (read(out->sync.signals, &info, sizeof(info)) != sizeof(info))
		return;
	pthread_mutex_lock(&out->sync.lock);
	connected = out->sync.connected;
	pthread_mutex_unlock(&out->sync.lock);
	error_set(&err, CODE_ABORTED, NULL, "ended by a signal (%s)", strsignal(info.ssi_signo));
	if (!connected) {
		/* nothing was done to the program, and the keeper cleans up */
		report_error(&err);
		_exit(err.code);
	}
	if (fail(out, &err, true))
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
		fail(out, &err, !fds[WATCH_TARGET].revents);
}

/* --max-frozen has passed: whoever waits, for whatever it may be, comes back. */
static void too_long(struct outgoing *out)
{
	struct error err = { 0 };

	outgoing_limit(out, 0);
	error_set(&err, CODE_ABORTED, "look why it takes so long, or raise --max-frozen",
		  "the program stood for %u s, the limit of --max-frozen", out->opts->max_frozen_s);
	if (fail(out, &err, true))
		control_shutdown(out->ctl);
}

/* Return: milliseconds for poll(), -1 when there is no limit */
static int limit_ms(struct outgoing *out)
{
	bool limited;

	pthread_mutex_lock(&out->sync.lock);
	limited = out->sync.until_ns != 0;
	pthread_mutex_unlock(&out->sync.lock);
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

		pthread_mutex_lock(&sync->lock);
		dump_fd = sync->committed ? -1 : sync->dump_fd;
		/* once one failed the rest would only be seen again and again */
		if (sync->failed)
			fds[WATCH_TARGET].fd = fds[WATCH_KEEPER].fd = dump_fd = -1;
		fds[WATCH_DUMP].fd = dump_fd;
		pthread_mutex_unlock(&sync->lock);
		ret = poll(fds, WATCHED, limit_ms(out));
		if (!ret && !limit_ms(out))
			too_long(out);
		if (ret <= 0)
			continue;
		/* first: a kick that is consumed after the look would be a change that nobody sees */
		if (fds[WATCH_KICK].revents && read(sync->kick, &count, sizeof(count)) < 0)
			continue;
		pthread_mutex_lock(&sync->lock);
		closing = sync->closing;
		committed = sync->committed;
		/* not that of a CRIU that is being let go */
		if (sync->dump_fd != dump_fd)
			fds[WATCH_DUMP].revents = 0;
		pthread_mutex_unlock(&sync->lock);
		if (closing)
			continue;
		if (fds[WATCH_SIGNALS].revents)
			on_signal(out);
		judge(out, fds, committed);
		lost_keeper |= fds[WATCH_KEEPER].revents != 0;
	}
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

int outgoing_start_watch(struct outgoing *out, struct error *err)
{
	return start_thread(&out->watch_thread, watch_body, out, &out->has_watch, err);
}

int outgoing_start_threads(struct outgoing *out, void *(*urgent_body)(void *out),
			   struct error *err)
{
	pthread_mutex_lock(&out->sync.lock);
	out->sync.connected = true;
	pthread_mutex_unlock(&out->sync.lock);
	return start_thread(&out->control_thread, control_body, out, &out->has_control, err) ||
	       start_thread(&out->urgent_thread, urgent_body, out, &out->has_urgent, err) ? -1 : 0;
}

void outgoing_stop_watch(struct outgoing *out)
{
	pthread_mutex_lock(&out->sync.lock);
	out->sync.closing = true;
	pthread_cond_broadcast(&out->sync.changed);
	pthread_mutex_unlock(&out->sync.lock);
	kick(out);
	if (out->has_watch)
		pthread_join(out->watch_thread, NULL);
	out->has_watch = false;
}

void outgoing_stop_threads(struct outgoing *out)
{
	outgoing_stop_watch(out);
	if (out->ctl)
		control_shutdown(out->ctl);
	shutdown(out->urgent_fd, SHUT_RDWR);
	if (out->has_control)
		pthread_join(out->control_thread, NULL);
	if (out->has_urgent)
		pthread_join(out->urgent_thread, NULL);
	out->has_control = out->has_urgent = false;
	while (out->sync.nr_queue)
		migrate__control__free_unpacked(out->sync.queue[--out->sync.nr_queue], NULL);
}
