// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/end_signals.h"
#include "base/page.h"
#include "base/report.h"
#include "base/text.h"
#include "services/lazy_serve.h"

#define EVENTS_AT_ONCE	64
#define TICK_MS		250
#define RETRY_MS	1
#define PAUSE_MS	1000	/* after a failure that may go away, as a lack of memory */
#define CALM_MS		1	/* without a fault */
#define LAST_MS		30000	/* for a lost connection to come again, for the last word */

#define FILE_BUSY	32	/* pages that are read from an image at a time shortly after a fault */
#define PAGES_MAX	4096	/* under way or held, before others are asked for without a fault */

static struct lazy_restore *add(struct lazy_serve *serve, uint32_t number, struct error *err)
{
	struct lazy_restore **list = reallocarray(serve->list, serve->nr + 1, sizeof(*list));

	if (!list) {
		error_set(err, CODE_INTERNAL, NULL, "no memory for a restore");
		return NULL;
	}
	serve->list = list;
	list[serve->nr] = lazy_restore_new(number, serve->epoll, &serve->journal, err);
	if (!list[serve->nr])
		return NULL;
	if (number >= serve->nr_restores)
		serve->nr_restores = number + 1;
	return list[serve->nr++];
}

int lazy_serve_expect(struct lazy_serve *serve, struct error *err)
{
	struct lazy_restore *restore = add(serve, serve->nr_restores, err);

	if (restore && !lazy_restore_listen(restore, serve->work_fd, err))
		return 0;
	if (restore)
		lazy_restore_free(serve->list[--serve->nr]);
	return -1;
}

struct lazy_restore *lazy_serve_restore(struct lazy_serve *serve, uint32_t number)
{
	for (size_t i = 0; i < serve->nr; i++)
		if (serve->list[i]->number == number)
			return serve->list[i];
	return add(serve, number, &(struct error){ 0 });
}

void lazy_serve_reaped(struct lazy_serve *serve, uint32_t number, bool complete)
{
	if (number >= serve->nr_restores)
		serve->nr_restores = number + 1;
	*(complete ? &serve->complete : &serve->failed) += 1;
	journal_add(&serve->journal, LAZY_RECORD_REAPED, number, complete, 0, 0);
	for (size_t i = 0; i < serve->nr; i++)
		if (serve->list[i]->number == number) {
			lazy_restore_free(serve->list[i]);
			serve->list[i] = serve->list[--serve->nr];
			return;
		}
}

struct lazy_counts lazy_serve_counts(const struct lazy_serve *serve)
{
	struct lazy_counts sum = { 0 };

	for (const struct lazy_memory *memory = serve->memories; memory; memory = memory->next) {
		sum.installed += memory->counts.installed;
		sum.background += memory->counts.background;
		sum.fault += memory->counts.fault;
	}
	return sum;
}

static uint64_t lacks(const struct lazy_serve *serve)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < serve->nr; i++)
		nr += lazy_restore_lacks(serve->list[i]);
	return nr;
}

static bool under_way(const struct lazy_serve *serve)
{
	for (size_t i = 0; i < serve->nr; i++)
		if (serve->list[i]->connected)
			return true;
	return false;
}

/* A failure in one task is told, at most once in a while; the others go on. */
static void tell_failure(struct lazy_serve *serve, const struct error *err)
{
	if (!error_is_set(err) || clock_now_ms() < serve->error_ms)
		return;
	serve->error_ms = clock_now_ms() + PAUSE_MS;
	report_error(err);
}

static void take_signal(struct lazy_serve *serve)
{
	if (!end_signals_take(serve->signals))
		return;
	if (!under_way(serve)) {
		serve->stop = true;
		return;
	}
	report_say("a restored program lacks %s: to end now would give it zeros for them. It ends when the program has all pages, or is killed",
		   text_count(lacks(serve), "page", "pages").text);
}

static void source_lost(struct lazy_serve *serve, const struct error *why)
{
	lazy_uplink_lost(&serve->uplink, why);
	for (struct lazy_memory *memory = serve->memories; memory; memory = memory->next)
		lazy_memory_lost(memory);
}

/* A copy has got pages, or needs some. */
static bool has_begun(const struct lazy_serve *serve)
{
	for (size_t i = 0; i < serve->nr; i++)
		if (serve->list[i]->nr)
			return true;
	return serve->complete || serve->uplink.link.received;
}

/*
 * lazy-source heeds the last word of those only who have asked for a page on the same connection, and it may be that no copy
 * lacks one any more.
 */
static void ask_any(struct lazy_serve *serve)
{
	struct error err = { 0 };

	for (struct lazy_memory *memory = serve->memories; memory && has_begun(serve); memory = memory->next)
		if (lazy_memory_ask_any(memory, &err))
			break;
	tell_failure(serve, &err);
}

void lazy_serve_source_is_back(struct lazy_serve *serve)
{
	ask_any(serve);
	for (size_t i = 0; i < serve->nr; i++)
		for (size_t j = 0; j < serve->list[i]->nr; j++)
			serve->list[i]->tasks[j]->set.retry = true;
}

static void take_pages(struct lazy_serve *serve)
{
	struct lazy_link *link = &serve->uplink.link;
	struct error err = { 0 };
	int ret;

	if (!lazy_link_is_open(link)) {
		if (lazy_uplink_try(&serve->uplink))
			lazy_serve_source_is_back(serve);
		return;
	}
	do
		ret = lazy_link_receive(link, lazy_memory_came, &err);
	while (ret > 0 && lazy_link_has_more(link));
	if (ret >= 0)
		return;
	if (err.code == CODE_NETWORK || link->wrong)
		source_lost(serve, &err);
	else
		tell_failure(serve, &err);
}

static void send_commands(struct lazy_serve *serve)
{
	struct error err = { 0 };

	if (!lazy_link_is_open(&serve->uplink.link))
		return;
	if (lazy_link_send(&serve->uplink.link, &err))
		source_lost(serve, &err);
	else
		lazy_uplink_watch(&serve->uplink);
}

static struct lazy_restore *is_restore(const struct lazy_serve *serve, const void *about)
{
	for (size_t i = 0; i < serve->nr; i++)
		if (serve->list[i] == about)
			return serve->list[i];
	return NULL;
}

static void take_events(struct lazy_serve *serve, struct space *space, struct error *err)
{
	struct lazy_task *task = (struct lazy_task *)space->set;
	uint64_t before = task->set.faults;

	lazy_task_events(task, space, err);
	if (task->set.faults != before)
		serve->fault_ms = clock_now_ms();
}

static void act(struct lazy_serve *serve, void *about)
{
	struct lazy_restore *restore = is_restore(serve, about);
	struct error err = { 0 };

	if (about == serve)
		take_signal(serve);
	else if (about == &serve->uplink)
		take_pages(serve);
	else if (restore)
		lazy_restore_step(restore, serve->memories, &err);
	else
		take_events(serve, about, &err);
	if (restore && restore->failed)
		report_error(&err);
	else
		tell_failure(serve, &err);
}

/* Return: true when a look is due again at once */
static bool retry(struct lazy_serve *serve)
{
	bool again = false;
	struct error err = { 0 };

	for (struct lazy_memory *memory = serve->memories; memory; memory = memory->next)
		if (memory->held)
			again |= lazy_memory_retry(memory, &err) > 0;
	for (size_t i = 0; i < serve->nr; i++)
		again |= lazy_restore_retry(serve->list[i], &err) > 0;
	tell_failure(serve, &err);
	return again;
}

/* A task that takes no pages for long, as one whose control group is throttled, does not fill this memory with them. */
static bool is_full(const struct lazy_serve *serve)
{
	uint64_t pages = 0;

	for (const struct lazy_memory *memory = serve->memories; memory; memory = memory->next)
		pages += memory->asked.nr;
	return pages >= PAGES_MAX;
}

/* Return: how many pages to get next without a fault; 0: none now */
static uint64_t next_piece(const struct lazy_link *link, bool busy)
{
	if (!link)
		return busy ? FILE_BUSY : LAZY_FILE_PAGES;
	return busy ? 0 : lazy_pace_piece(&link->pace, link->asked, link->nr);
}

/* Return: true when more could be done at once */
static bool background(struct lazy_serve *serve)
{
	struct lazy_link *link = serve->memories && serve->memories->link ? &serve->uplink.link : NULL;
	int64_t now_ms = clock_now_ms();
	bool busy = now_ms - serve->fault_ms < CALM_MS;
	struct error err = { 0 };
	uint64_t nr_pages;
	int ret = 0;

	if (now_ms < serve->error_ms || (link && !lazy_link_is_open(link)) || is_full(serve))
		return false;
	for (size_t i = 0; i < serve->nr && ret >= 0; i++) {
		while ((nr_pages = next_piece(link, busy)) &&
		       (ret = lazy_restore_background(serve->list[i], nr_pages, &err)) > 0)
			if (!link)
				return true;
	}
	tell_failure(serve, &err);
	return false;
}

static void tell_complete(struct lazy_serve *serve, const struct lazy_restore *restore)
{
	struct lazy_counts counts = lazy_serve_counts(serve);
	uint64_t faults = 0;
	char text[256];

	for (size_t i = 0; i < restore->nr; i++) {
		faults += restore->tasks[i]->set.faults;
		serve->zero += restore->tasks[i]->set.zero;
	}
	serve->faults += faults;
	snprintf(text, sizeof(text), "a restored program has all of its memory: %s, %s in all",
		 text_count(faults, "fault", "faults").text, text_count(counts.installed, "page", "pages").text);
	report_both("complete", json_pack("{s:I,s:I,s:I}", "tasks", (json_int_t)restore->nr, "faults",
					  (json_int_t)faults, "pages", (json_int_t)counts.installed), text);
}

/*
 * A program that ends by itself is complete; one that lacked pages for want of the page server is not.
 * Return: whether it is complete
 */
static bool settle(struct lazy_serve *serve, const struct lazy_restore *restore, struct error *err)
{
	if (restore->failed)
		return false;
	if (restore->held) {
		report_both("unfinished", NULL, "a restored program has ended before criu restore let it run: restore.log says why");
		return false;
	}
	if (!serve->memories->link || lazy_link_is_open(&serve->uplink.link) || !lazy_restore_lost(restore)) {
		tell_complete(serve, restore);
		return true;
	}
	report_both("unfinished", NULL, "a restored program has ended, which lacked pages that the page server does not give");
	error_set(err, CODE_LOST, NULL, "a restored program has ended that lacked pages, while there was no page server");
	return false;
}

/* Restores that have ended leave the list, and a next one is waited for. */
static void reap(struct lazy_serve *serve, struct error *err)
{
	bool waits = false;

	for (size_t i = 0; i < serve->nr;) {
		struct lazy_restore *restore = serve->list[i];

		waits |= !restore->connected;
		/* what a CRIU that failed has left may run once: it is not to read zeros, while the dumped one goes on */
		if (!(restore->failed ? lazy_restore_is_gone(restore) : lazy_restore_is_done(restore))) {
			i++;
			continue;
		}
		lazy_serve_reaped(serve, restore->number, settle(serve, restore, err));
	}
	if (waits || serve->stop || (serve->restores && serve->complete + serve->failed + serve->nr >= serve->restores))
		return;
	if (lazy_serve_expect(serve, err))
		serve->stop = true;
}

static void tick(struct lazy_serve *serve)
{
	uint64_t left = lacks(serve);

	serve->tick_ms = clock_now_ms() + TICK_MS;
	for (size_t i = 0; i < serve->nr; i++)
		lazy_restore_probe(serve->list[i]);
	for (struct lazy_memory *memory = serve->memories; memory; memory = memory->next) {
		if (!memory->late)
			continue;
		memory->late = false;
		for (size_t i = 0; i < memory->nr_sets; i++)
			memory->sets[i]->retry = true;
		if (!serve->late)
			report_both("late", NULL, "the images do not have all pages yet: waiting for them");
		serve->late = true;
	}
	if (left)
		report_progress("%" PRIu64 " MiB given, %" PRIu64 " MiB left%s",
				(lazy_serve_counts(serve).installed * PAGE_BYTES) >> 20, (left * PAGE_BYTES) >> 20,
				serve->memories->link && !lazy_link_is_open(&serve->uplink.link) ?
				": WAITING FOR THE PAGE SERVER" : "");
}

static bool all_done(const struct lazy_serve *serve)
{
	if (serve->nr && (!serve->stop || under_way(serve)))
		return false;
	return serve->stop || (serve->restores && serve->complete + serve->failed >= serve->restores);
}

/*
 * A CRIU that connects while the dump hears the last word would find nobody, and its program zeros.
 * Return: true when nobody can connect any more; false when a CRIU has: its program is served
 */
static bool stop_listening(struct lazy_serve *serve)
{
	bool came = false;

	for (size_t i = 0; i < serve->nr;) {
		struct lazy_restore *restore = serve->list[i];

		if (restore->connected || (restore->server && !lazy_server_withdraw(restore->server))) {
			came = true;
			i++;
			continue;
		}
		lazy_restore_free(restore);
		serve->list[i] = serve->list[--serve->nr];
	}
	return !came;
}

/* A lazy-source holds the program until it hears that a copy has all pages. */
static bool waits_for_source(struct lazy_serve *serve)
{
	if (!serve->complete || !lazy_uplink_may_return(&serve->uplink))
		return false;
	serve->last_ms = serve->last_ms ?: clock_now_ms() + LAST_MS;
	return clock_now_ms() < serve->last_ms;
}

static bool is_over(struct lazy_serve *serve)
{
	if (!all_done(serve) || !stop_listening(serve))
		return false;
	/* what was asked for is waited for: the page server answers it before it sees CLOSE */
	return lazy_link_is_open(&serve->uplink.link) ? !serve->uplink.link.nr : !waits_for_source(serve);
}

void lazy_serve_run(struct lazy_serve *serve, struct error *err)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	bool again = false, more = false;

	while (!is_over(serve)) {
		int nr = epoll_wait(serve->epoll, events, EVENTS_AT_ONCE, more ? 0 : again ? RETRY_MS : TICK_MS);

		for (int i = 0; i < nr; i++)
			act(serve, events[i].data.ptr);
		again = retry(serve);
		more = background(serve);
		send_commands(serve);
		if (clock_now_ms() >= serve->tick_ms) {
			tick(serve);
			if (!lazy_link_is_open(&serve->uplink.link))
				take_pages(serve);
		}
		reap(serve, err);
	}
	if (serve->failed && !error_is_set(err))
		error_set(err, CODE_CRIU, NULL, "%s failed",
			  text_count(serve->failed, "restore has", "restores have").text);
	else if (!serve->complete && !error_is_set(err))
		error_set(err, CODE_ABORTED, NULL, "ended before a program was restored");
}

/* A copy has all pages: the dumped program is to end, or to stand. */
static void say_complete(struct lazy_serve *serve, struct error *err)
{
	struct lazy_uplink *uplink = &serve->uplink;

	serve->holds = uplink->aside >= 0;
	if (uplink->link.fd >= 0)
		lazy_link_finish(&uplink->link, err);
	else if (serve->holds)
		error_set(err, CODE_NETWORK, "kill the dumped program there, and then criu dump or lazy-source: the connection stays open until then",
			  "a restored program has all of its memory, and without the keys of TLS the page server cannot be told");
	else if (serve->memories->link)
		error_set(err, CODE_NETWORK, "the dumped program may be held still, or run: kill it there",
			  "a restored program has all of its memory, and the page server could not be told");
}

void lazy_serve_end(struct lazy_serve *serve, struct error *err)
{
	if (serve->borrows)
		return;
	/* one that could not begin may listen still */
	while (serve->nr)
		lazy_restore_free(serve->list[--serve->nr]);
	if (serve->complete) {
		say_complete(serve, err);
		return;
	}
	if (!lazy_uplink_close_aside(&serve->uplink) && serve->uplink.link.fd < 0)
		return;
	lazy_link_abort(&serve->uplink.link);
	report_both("aborted", NULL, "no restored program has all of its memory: the dump was told to fail, so that the dumped one goes on");
}

void lazy_serve_free(struct lazy_serve *serve)
{
	for (size_t i = 0; i < serve->nr; i++)
		if (serve->borrows)
			lazy_restore_leave(serve->list[i]);
		else
			lazy_restore_free(serve->list[i]);
	free(serve->list);
	while (serve->memories) {
		struct lazy_memory *memory = serve->memories;

		serve->memories = memory->next;
		lazy_memory_free(memory);
	}
	if (serve->holds)
		serve->uplink.aside = -1;
	lazy_uplink_close(&serve->uplink);
	if (serve->signals >= 0)
		close(serve->signals);
	if (serve->epoll >= 0)
		close(serve->epoll);
	if (serve->work_fd >= 0)
		close(serve->work_fd);
}
