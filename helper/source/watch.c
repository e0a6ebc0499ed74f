// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/report.h"
#include "base/thread.h"
#include "source/watch.h"

/* The order of the descriptors in a look; the processes of the program are behind them. */
enum { WATCH_KICK, WATCH_SIGNALS, WATCH_KEEPER, WATCH_DUMP, WATCH_TARGETS };

/**
 * struct look - one wait
 * @fds: WATCH_KICK and so on; @dump_fd: as it was when the wait began
 * @lost_keeper: its hang-up was seen before
 */
struct look {
	struct pollfd *fds;
	size_t nr;
	int dump_fd;
	bool lost_keeper, committed, closing;
};

int watch_init(struct watch *watch, struct mailbox *box, struct error *err)
{
	sigset_t set, stops;

	*watch = (struct watch){ .box = box, .keeper_fd = -1, .dump_fd = -1 };
	pthread_mutex_init(&watch->lock, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* the program may stand: who presses a key, or lets this write to a terminal, does not mean that */
	sigemptyset(&stops);
	sigaddset(&stops, SIGTSTP);
	sigaddset(&stops, SIGTTOU);
	sigaddset(&stops, SIGTTIN);
	pthread_sigmask(SIG_BLOCK, &stops, NULL);
	signal(SIGPIPE, SIG_IGN);
	watch->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	watch->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (watch->kick < 0 || watch->signals < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot make an eventfd");
	return 0;
}

/* The thread fills its list of descriptors anew. */
static void watch_kick(struct watch *watch)
{
	uint64_t one = 1;

	if (write(watch->kick, &one, sizeof(one)) < 0)
		return;
}

void watch_destroy(struct watch *watch)
{
	if (!watch->box)
		return;
	watch_stop(watch);
	if (watch->kick >= 0)
		close(watch->kick);
	if (watch->signals >= 0)
		close(watch->signals);
	free(watch->targets);
	pthread_mutex_destroy(&watch->lock);
}

int watch_add_target(struct watch *watch, const struct watch_target *target, struct error *err)
{
	struct watch_target *targets = realloc(watch->targets,
					       (watch->nr_targets + 1) * sizeof(*targets));

	if (!targets)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory to watch a process");
	targets[watch->nr_targets++] = *target;
	watch->targets = targets;
	return 0;
}

void watch_dump(struct watch *watch, int dump_fd)
{
	pthread_mutex_lock(&watch->lock);
	watch->dump_fd = dump_fd;
	pthread_mutex_unlock(&watch->lock);
	watch_kick(watch);
}

void watch_limit(struct watch *watch, uint64_t until_ns)
{
	pthread_mutex_lock(&watch->lock);
	watch->until_ns = until_ns;
	pthread_mutex_unlock(&watch->lock);
	watch_kick(watch);
}

static uint64_t limit(struct watch *watch)
{
	uint64_t until;

	pthread_mutex_lock(&watch->lock);
	until = watch->until_ns;
	pthread_mutex_unlock(&watch->lock);
	return until;
}

int watch_left_ms(struct watch *watch)
{
	uint64_t now = clock_now_ns(), until = limit(watch);

	return until > now ? (until - now) / 1000000 + 1 : 0;
}

static void take_signal(struct watch *watch)
{
	struct signalfd_siginfo info;

	if (read(watch->signals, &info, sizeof(info)) == sizeof(info))
		watch->hooks->signal(watch->ctx, strsignal(info.ssi_signo));
}

static bool find_ended(const struct watch *watch, const struct look *look, struct error *err)
{
	for (size_t i = 0; i < watch->nr_targets; i++)
		if (look->fds[WATCH_TARGETS + i].revents) {
			error_set(err, CODE_TARGET, NULL, "process %d has exited or called exec",
				  watch->targets[i].pid);
			return true;
		}
	return false;
}

/* After COMMIT: its memory that was not sent is lost, and all other memory is still to be sent. */
static void say_ended(struct watch *watch, const struct look *look)
{
	for (size_t i = 0; i < watch->nr_targets; i++)
		if (look->fds[WATCH_TARGETS + i].revents) {
			report_say("process %d was killed here; it was handed over before",
				   watch->targets[i].pid);
			/* its hang-up would end each poll() at once */
			watch->targets[i].fd = -1;
		}
}

/*
 * Make the first hang-up a failure. After COMMIT the guard holds the program without CRIU and the
 * keeper, so that the end of either is no failure. Nor is the end of a process: what the push cannot
 * read any more is told to the destination, which decides.
 */
static void judge(struct watch *watch, const struct look *look)
{
	const struct pollfd *fds = look->fds;
	struct error err = { 0 };
	char hint[sizeof(err.hint)];
	bool ended = !look->committed && find_ended(watch, look, &err);

	if (look->committed) {
		say_ended(watch, look);
		if (fds[WATCH_KEEPER].revents)
			report_say("the keeper was killed; without this process nobody cleans up here");
	} else if (!ended && fds[WATCH_KEEPER].revents) {
		error_set(&err, CODE_INTERNAL, NULL, "the keeper was killed");
	} else if (!ended && fds[WATCH_DUMP].revents) {
		snprintf(hint, sizeof(hint), "CRIU's log may say why: %s", watch->log);
		error_set(&err, CODE_CRIU, hint, "CRIU died while it held the program");
	}
	/* COMMIT may be recorded since the look */
	if (error_is_set(&err))
		watch->hooks->fail(watch->ctx, &err, true);
}

/* --max-frozen has passed: each call that blocks returns. */
static void too_long(struct watch *watch)
{
	struct error err = { 0 };

	watch_limit(watch, 0);
	error_set(&err, CODE_ABORTED, "look why it takes so long, or raise --max-frozen",
		  "the program stood for %u s, the limit of --max-frozen", watch->max_frozen_s);
	if (watch->hooks->fail(watch->ctx, &err, true))
		watch->hooks->too_long(watch->ctx);
}

/* Which descriptors to wait for. */
static void look_fill(struct look *look, struct watch *watch)
{
	struct error ignored = { 0 };
	/* after the first failure a hang-up would end each poll() at once */
	bool failed = mailbox_failed(watch->box, &ignored);
	bool over = failed || mailbox_is_committed(watch->box);

	pthread_mutex_lock(&watch->lock);
	look->dump_fd = over ? -1 : watch->dump_fd;
	pthread_mutex_unlock(&watch->lock);
	look->fds[WATCH_KICK] = (struct pollfd){ .fd = watch->kick, .events = POLLIN };
	look->fds[WATCH_SIGNALS] = (struct pollfd){ .fd = watch->signals, .events = POLLIN };
	/* only for its hang-up */
	look->fds[WATCH_KEEPER] = (struct pollfd){
		.fd = failed || look->lost_keeper ? -1 : watch->keeper_fd,
	};
	look->fds[WATCH_DUMP] = (struct pollfd){ .fd = look->dump_fd, .events = POLLIN };
	for (size_t i = 0; i < watch->nr_targets; i++)
		look->fds[WATCH_TARGETS + i] = (struct pollfd){
			.fd = failed ? -1 : watch->targets[i].fd,
			.events = watch->targets[i].events,
		};
}

/* Wait. Return: false when there is nothing to judge */
static bool look_wait(struct look *look, struct watch *watch)
{
	bool limited = limit(watch);
	int ret = poll(look->fds, look->nr, limited ? watch_left_ms(watch) : -1);
	uint64_t count;

	if (!ret && limit(watch) && !watch_left_ms(watch))
		too_long(watch);
	if (ret <= 0)
		return false;
	/* consume the kick before the look: a change after the look must leave its kick */
	return !look->fds[WATCH_KICK].revents || read(watch->kick, &count, sizeof(count)) > 0;
}

/* The state after the wait: the owner may have committed, closed, or let go of CRIU. */
static void look_again(struct look *look, struct watch *watch)
{
	mailbox_lock(watch->box);
	look->closing = watch->box->closing;
	look->committed = watch->box->committed;
	mailbox_unlock(watch->box);
	pthread_mutex_lock(&watch->lock);
	/* the owner lets go of this CRIU: its hang-up is no failure */
	if (watch->dump_fd != look->dump_fd)
		look->fds[WATCH_DUMP].revents = 0;
	pthread_mutex_unlock(&watch->lock);
}

static void *watch_body(void *arg)
{
	struct watch *watch = arg;
	struct pollfd fds[WATCH_TARGETS + watch->nr_targets];
	struct look look = { .fds = fds, .nr = WATCH_TARGETS + watch->nr_targets };

	while (!look.closing) {
		look_fill(&look, watch);
		if (!look_wait(&look, watch))
			continue;
		look_again(&look, watch);
		if (look.closing)
			continue;
		if (fds[WATCH_SIGNALS].revents)
			take_signal(watch);
		judge(watch, &look);
		look.lost_keeper |= fds[WATCH_KEEPER].revents != 0;
	}
	return NULL;
}

int watch_start(struct watch *watch, struct error *err)
{
	watch->runs = !thread_start(&watch->thread, watch_body, watch, err);
	return watch->runs ? 0 : -1;
}

void watch_stop(struct watch *watch)
{
	mailbox_close(watch->box);
	watch_kick(watch);
	if (watch->runs)
		pthread_join(watch->thread, NULL);
	watch->runs = false;
}
