// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/end_signals.h"
#include "base/page.h"
#include "base/report.h"
#include "base/text.h"
#include "os/fds.h"
#include "services/lazy_answer.h"
#include "services/lazy_source.h"
#include "services/status_fd.h"
#include "wire/conn.h"
#include "wire/listener.h"

#define TICK_MS		1000
#define LOST_MS		120000	/* a connection whose other kernel is silent for so long is lost */
/* While all places are taken: lazy-pages asks for nothing before its restore begins. */
#define SILENT_MS	60000
#define DIAL_SILENT_MS	3000	/* all connections: a lazy-pages that has taken up may listen */
#define ASKER_SILENT_MS	900000	/* the same when it has asked: CRIU's lazy-pages does not come again */

/**
 * struct lazy_source - @trust: NULL without TLS; @answers: NULL in a free place; @losses: connections that have ended
 * without a last word
 */
struct lazy_source {
	const struct lazy_source_options *opts;
	struct lazy_dump dump;
	struct tls_trust *trust;
	struct listener listener;
	int signals, wake_fd;
	struct lazy_answer *answers[LAZY_SOURCE_CONNECTIONS];
	atomic_ulong given;
	uint64_t copied, losses;
	int64_t dial_ms;
	bool stop, closed;
	struct error err;
};

static int open_signals(struct lazy_source *source)
{
	source->signals = end_signals_open(&source->err);
	if (source->signals < 0)
		return -1;
	source->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return source->wake_fd < 0 ?
	       error_errno(&source->err, CODE_INTERNAL, NULL, "cannot wait for signals") : 0;
}

static struct lazy_answer **free_place(struct lazy_source *source)
{
	for (size_t i = 0; i < LAZY_SOURCE_CONNECTIONS; i++)
		if (!source->answers[i])
			return &source->answers[i];
	return NULL;
}

static void drop(struct lazy_source *source, struct lazy_answer *answer)
{
	source->copied += answer->sender.counts.copied;
	lazy_answer_free(answer);
	free(answer);
}

/* @fd is gone after a failure. */
static int answer(struct lazy_source *source, int fd, const char *peer, struct error *err)
{
	struct lazy_answer *answer = calloc(1, sizeof(*answer));

	if (!answer) {
		close(fd);
		return error_set(err, CODE_INTERNAL, NULL, "no memory for a connection");
	}
	/* CRIU's lazy-pages does not come again */
	conn_be_patient(fd);
	answer->stream.fd = fd;
	answer->dump = &source->dump;
	answer->trust = source->trust;
	answer->name = source->opts->tls_any_name ? NULL : source->opts->address;
	answer->wake_fd = source->wake_fd;
	answer->given = &source->given;
	liveness_init(&answer->live, fd);
	snprintf(answer->peer, sizeof(answer->peer), "%.63s", peer);
	if (lazy_answer_start(answer, err)) {
		drop(source, answer);
		return -1;
	}
	*free_place(source) = answer;
	report_both("connected", json_pack("{s:o,s:I}", "peer", report_text(answer->peer), "losses",
					   (json_int_t)source->losses), "lazy-pages is connected");
	return 0;
}

static void accept_one(struct lazy_source *source)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct error err = { 0 };
	char peer[64];
	int fd = listener_accept(&source->listener, &addr, &len);

	if (fd < 0)
		return;
	conn_address_text(&addr, len, peer, sizeof(peer));
	if (answer(source, fd, peer, &err))
		report_error(&err);
}

/* A connection that has ended leaves its place at once, and a silent one may be of no use. */
static bool all_are_silent(const struct lazy_source *source)
{
	for (size_t i = 0; i < LAZY_SOURCE_CONNECTIONS; i++)
		if (source->answers[i] && conn_silent_ms(source->answers[i]->stream.fd) < DIAL_SILENT_MS)
			return false;
	return true;
}

/*
 * With --connect there is one connection, and a lost one is made again. A lazy-pages that takes up the work of a killed
 * one has no keys for its TLS: the old connection stays open, and lazy-pages listens. While the other end has a connection
 * of which it knows, it does not listen, and the attempt is refused.
 */
static int dial(struct lazy_source *source, struct error *err)
{
	char where[256];
	int fd;

	if (!source->opts->connect || !free_place(source) || !all_are_silent(source) ||
	    clock_now_ms() < source->dial_ms)
		return 0;
	source->dial_ms = clock_now_ms() + TICK_MS;
	conn_where(source->opts->address, source->opts->port, where, sizeof(where));
	fd = conn_dial(where, err);
	return fd < 0 ? -1 : answer(source, fd, where, err);
}

static void take_signal(struct lazy_source *source)
{
	if (!end_signals_take(source->signals))
		return;
	if (!atomic_load(&source->given)) {
		error_set(&source->err, CODE_ABORTED, NULL, "ended by a signal before a page was asked for");
		source->stop = true;
		return;
	}
	report_say("a restored program needs the pages that are here: lazy-source ends when lazy-pages says that it has all, or when criu dump is killed, with which the dumped program goes on");
}

/* End all connections but @last, whose thread waits. */
static void end_others(struct lazy_source *source, const struct lazy_answer *last)
{
	for (size_t i = 0; i < LAZY_SOURCE_CONNECTIONS; i++) {
		struct lazy_answer *answer = source->answers[i];

		if (!answer || answer == last)
			continue;
		lazy_answer_cut(answer);
		lazy_answer_join(answer);
		source->answers[i] = NULL;
		drop(source, answer);
	}
}

static int finish(struct lazy_source *source)
{
	if (!lazy_dump_holds(&source->dump))
		return error_set(&source->err, CODE_CRIU, "two copies of the program may run: end one of them",
				 "the copy has all pages, but criu dump has ended before, and the dumped program has gone on");
	return lazy_dump_finish(&source->dump, &source->err);
}

/*
 * A copy that has all pages has asked for some: who says CLOSE without that is a stranger, or knows nothing of this
 * dump, as a second lazy-pages beside the one that has a copy. The tasks are killed for nobody else.
 */
static void take_close(struct lazy_source *source, struct lazy_answer *answer)
{
	if (lazy_dump_lacking(&source->dump) && !atomic_load(&answer->gave)) {
		lazy_answer_settle(answer, -1);
		return;
	}
	end_others(source, answer);
	source->closed = !finish(source);
	source->stop = true;
	lazy_answer_settle(answer, source->closed ? 0 : -1);
}

static void tell_lost(struct lazy_source *source, const struct lazy_answer *answer)
{
	char text[TEXT_MAX];

	source->losses++;
	snprintf(text, sizeof(text), "%s: %s; the program is held, and lazy-pages may connect again", answer->peer,
		 answer->err.what);
	report_both("lost", json_pack("{s:o,s:s,s:I}", "peer", report_text(answer->peer), "class",
				      error_code_name(answer->err.code), "losses", (json_int_t)source->losses), text);
}

/* One that knows nothing of the pages that others have says nothing about their copies. */
static bool take_abort(struct lazy_source *source, struct lazy_answer *answer)
{
	if (atomic_load(&source->given) && !atomic_load(&answer->gave)) {
		error_set(&answer->err, CODE_PEER, NULL, "it gives up, and had asked for no page, as another one has");
		return false;
	}
	error_set(&source->err, CODE_ABORTED, NULL, "lazy-pages says that no restored program has all of its memory");
	source->stop = true;
	return true;
}

/* A lost link's connection keeps its place, and its thread, for 15 minutes. */
static void cut_lost(struct lazy_answer *answer)
{
	if (!atomic_load(&answer->ended) && liveness_is_lost(&answer->live, LOST_MS))
		lazy_answer_cut(answer);
}

/* Return: of those that have asked, or have not, the one that has been silent for longest, if for @silent_ms; NULL: none */
static struct lazy_answer *most_silent(const struct lazy_source *source, bool asked, int64_t silent_ms)
{
	struct lazy_answer *silent = NULL;

	for (size_t i = 0; i < LAZY_SOURCE_CONNECTIONS; i++) {
		struct lazy_answer *answer = source->answers[i];
		int64_t ms = answer && !atomic_load(&answer->gave) == !asked ? conn_silent_ms(answer->stream.fd) : 0;

		if (ms < silent_ms)
			continue;
		silent_ms = ms;
		silent = answer;
	}
	return silent;
}

static bool caller_waits(const struct lazy_source *source)
{
	struct pollfd pfd = { .fd = source->listener.fd, .events = POLLIN };

	return source->listener.fd >= 0 && poll(&pfd, 1, 0) > 0;
}

/* One at a time: the one that has been silent for longest gives its place to a caller that waits. */
static void make_place(struct lazy_source *source)
{
	struct lazy_answer *silent;

	if (free_place(source) || !caller_waits(source))
		return;
	silent = most_silent(source, false, SILENT_MS) ?: most_silent(source, true, ASKER_SILENT_MS);
	if (!silent)
		return;
	report_say("%s: silent for %" PRId64 " s: another caller gets its place", silent->peer,
		   conn_silent_ms(silent->stream.fd) / 1000);
	lazy_answer_cut(silent);
}

static void look(struct lazy_source *source)
{
	for (size_t i = 0; i < LAZY_SOURCE_CONNECTIONS && !source->stop; i++) {
		struct lazy_answer *answer = source->answers[i];

		if (!answer)
			continue;
		if (atomic_load(&answer->said) == LAZY_SAID_CLOSE)
			take_close(source, answer);
		if (source->stop)
			/* the last one hangs up: no loss */
			return;
		cut_lost(answer);
		if (!atomic_load(&answer->ended))
			continue;
		lazy_answer_join(answer);
		source->answers[i] = NULL;
		if (atomic_load(&answer->said) != LAZY_SAID_ABORT || !take_abort(source, answer))
			tell_lost(source, answer);
		drop(source, answer);
	}
}

static void serve(struct lazy_source *source)
{
	eventfd_t ignored;

	while (!source->stop) {
		struct error err = { 0 };
		struct pollfd fds[] = {
			{ .fd = source->signals, .events = POLLIN },
			{ .fd = source->wake_fd, .events = POLLIN },
			{ .fd = source->dump.link.fd, .events = POLLIN | POLLRDHUP },
			/* further callers wait in the socket's queue */
			{ .fd = free_place(source) ? listener_poll_fd(&source->listener) : -1, .events = POLLIN },
		};

		poll(fds, sizeof(fds) / sizeof(*fds), TICK_MS);
		if (fds[0].revents)
			take_signal(source);
		if (fds[1].revents)
			eventfd_read(source->wake_fd, &ignored);
		look(source);
		make_place(source);
		if (fds[2].revents && !source->stop) {
			error_set(&source->err, CODE_CRIU, "its log says why; a restored program that lacks pages waits for ever, and has to be killed",
				  "criu dump has ended before lazy-pages had all pages: the dumped program goes on");
			source->stop = true;
		}
		if (fds[3].revents && !source->stop)
			accept_one(source);
		if (!source->stop && dial(source, &err) && err.code != CODE_NETWORK)
			report_error(&err);
	}
}

/* The one that has said CLOSE gets its answer, and hangs up. */
static void end_last(struct lazy_source *source)
{
	struct lazy_answer *last = NULL;

	for (size_t i = 0; i < LAZY_SOURCE_CONNECTIONS && source->closed; i++)
		if (source->answers[i])
			last = source->answers[i];
	end_others(source, last);
	if (!last)
		return;
	lazy_answer_join(last);
	drop(source, last);
}

static int open_listener(struct lazy_source *source)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char where[256], name[64];
	int fd;

	if (source->opts->connect)
		return 0;
	conn_where(source->opts->address, source->opts->port, where, sizeof(where));
	fd = conn_listen(where, &source->err);
	if (fd < 0)
		return -1;
	listener_init(&source->listener, fd);
	getsockname(fd, (void *)&addr, &len);
	conn_address_text(&addr, len, name, sizeof(name));
	snprintf(where, sizeof(where), "waiting for lazy-pages%s at %s", source->opts->tls ? " --tls" : "", name);
	report_both("listening", json_pack("{s:i}", "port", ntohs(addr.ss_family == AF_INET6 ?
								   ((struct sockaddr_in6 *)&addr)->sin6_port :
								   ((struct sockaddr_in *)&addr)->sin_port)), where);
	return 0;
}

static int tell_ready(struct lazy_source *source)
{
	const struct lazy_dump *dump = &source->dump;
	char text[256];

	snprintf(text, sizeof(text), "%s of %s are given by the backend %s",
		 text_count(lazy_dump_lacking(dump), "page", "pages").text,
		 text_count(dump->nr, "process", "processes").text, dump->tasks[0].backend->ops->name);
	report_both("ready", json_pack("{s:I,s:I,s:s}", "tasks", (json_int_t)dump->nr, "pages",
				       (json_int_t)lazy_dump_lacking(dump), "backend",
				       dump->tasks[0].backend->ops->name), text);
	return status_fd_tell(source->opts->status_fd, &source->err);
}

/* Nothing of CRIU's is touched before all else is there: what fails here can be tried again. */
static int begin(struct lazy_source *source)
{
	const struct lazy_source_options *opts = source->opts;
	struct error *err = &source->err;
	char where[256];
	int images_fd, ret;

	fds_allow_many();
	/* a log whose reader hangs must not hold up a program that waits for a page */
	report_share_output();
	if (opts->tls) {
		source->trust = tls_trust_load(&opts->tls_files, err);
		if (!source->trust)
			return -1;
	}
	images_fd = open(opts->images_dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (images_fd < 0)
		return error_errno(err, CODE_USAGE, NULL, "cannot open the directory \"%s\"", opts->images_dir);
	ret = lazy_dump_read(&source->dump, images_fd, opts->pid, opts->backend, err);
	close(images_fd);
	conn_where(opts->criu_address, opts->criu_port, where, sizeof(where));
	return ret || open_signals(source) || open_listener(source) || lazy_dump_connect(&source->dump, where, err) ||
	       tell_ready(source) ? -1 : 0;
}

static void tell_result(struct lazy_source *source)
{
	const struct error *err = &source->err;

	if (error_is_set(err))
		report_error(err);
	report_event("result", json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:I}", "exit", err->code, "class",
					 error_code_name(err->code), "tasks", (json_int_t)source->dump.nr,
					 "pages", (json_int_t)atomic_load(&source->given), "bytes",
					 (json_int_t)(atomic_load(&source->given) * PAGE_BYTES), "copied_pages",
					 (json_int_t)source->copied, "losses", (json_int_t)source->losses));
}

int lazy_source_run(const struct lazy_source_options *opts)
{
	struct lazy_source source = {
		.opts = opts, .listener.fd = -1, .signals = -1, .wake_fd = -1, .dump.link.fd = -1,
	};

	if (!begin(&source))
		serve(&source);
	listener_close(&source.listener);
	end_last(&source);
	if (!source.closed)
		lazy_dump_abort(&source.dump);
	tell_result(&source);
	lazy_dump_free(&source.dump);
	tls_trust_free(source.trust);
	if (source.signals >= 0)
		close(source.signals);
	if (source.wake_fd >= 0)
		close(source.wake_fd);
	return source.err.code;
}
