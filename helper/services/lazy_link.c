// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/page.h"
#include "criu/pagemap.h"
#include "services/lazy_link.h"
#include "wire/conn.h"

#define GETS_MIN	64
#define END_MS		30000	/* for the answer to the last command */
#define TLS_END_MS	10000

int lazy_link_init(struct lazy_link *link, struct error *err)
{
	*link = (struct lazy_link){ .fd = -1, .form = PAGE_COMMAND_NARROW };
	link->pages = aligned_alloc(PAGE_BYTES, LAZY_LINK_PAGES * PAGE_BYTES);
	return link->pages ? 0 : error_set(err, CODE_INTERNAL, NULL, "no memory for pages");
}

/* A socket that is no TCP has no resets: there is nothing to set. */
static void set_reset(int fd, bool reset)
{
	const struct linger linger = { .l_onoff = reset };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void lazy_link_use(struct lazy_link *link, int fd, struct tls *tls)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	/* CRIU's dump takes one connection, and its end for the dump's */
	conn_be_patient(fd);
	set_reset(fd, true);
	link->fd = fd;
	link->tls = tls;
	link->pace = (struct lazy_pace){ 0 };
}

static ssize_t link_send(struct lazy_link *link)
{
	return link->tls ? tls_try_write(link->tls, link->out, link->out_bytes) :
	       send(link->fd, link->out, link->out_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t link_recv(struct lazy_link *link, void *to, size_t bytes)
{
	return link->tls ? tls_try_read(link->tls, to, bytes) : recv(link->fd, to, bytes, MSG_DONTWAIT);
}

static int link_failed(struct lazy_link *link, struct error *err)
{
	if (link->tls && tls_why(link->tls))
		return error_set(err, CODE_NETWORK, NULL, "TLS with the page server ended: %s", tls_why(link->tls));
	return error_errno(err, CODE_NETWORK, NULL, "the connection to the page server is lost");
}

static struct lazy_get *get_at(const struct lazy_link *link, size_t i)
{
	return &link->gets[(link->first + i) % link->room];
}

static int more_gets(struct lazy_link *link, struct error *err)
{
	size_t room = link->room ? 2 * link->room : GETS_MIN;
	struct lazy_get *gets = calloc(room, sizeof(*gets));

	if (!gets)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for requests");
	for (size_t i = 0; i < link->nr; i++)
		gets[i] = *get_at(link, i);
	free(link->gets);
	link->gets = gets;
	link->first = 0;
	link->room = room;
	return 0;
}

static int put_command(struct lazy_link *link, const struct page_command *command, struct error *err)
{
	if (link->out_bytes + link->form > link->out_room) {
		size_t room = link->out_room ? 2 * link->out_room : GETS_MIN * PAGE_COMMAND_WIDE;
		uint8_t *out = realloc(link->out, room);

		if (!out)
			return error_set(err, CODE_INTERNAL, NULL, "no memory for requests");
		link->out = out;
		link->out_room = room;
	}
	link->out_bytes += page_command_put(link->out + link->out_bytes, link->form, command);
	return 0;
}

static int64_t now_us(void)
{
	return clock_now_ns() / 1000;
}

int lazy_link_ask(struct lazy_link *link, void *owner, uint64_t target, uint64_t addr, uint64_t nr_pages,
		  struct error *err)
{
	struct page_command command = {
		.id = PAGE_COMMAND_GET, .nr_pages = nr_pages, .addr = addr, .target = target,
	};

	if (link->nr == link->room && more_gets(link, err))
		return -1;
	if (put_command(link, &command, err))
		return -1;
	link->nr++;
	*get_at(link, link->nr - 1) = (struct lazy_get){ owner, target, addr, nr_pages, now_us() };
	link->asked += nr_pages;
	return 0;
}

int lazy_link_send(struct lazy_link *link, struct error *err)
{
	ssize_t n;

	while (link->out_bytes) {
		n = link_send(link);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return link_failed(link, err);
		link->out_bytes -= n;
		memmove(link->out, link->out + n, link->out_bytes);
	}
	return 0;
}

static int wrong(struct lazy_link *link, struct error *err, const char *what, uint64_t is, uint64_t want)
{
	link->wrong = true;
	return error_set(err, CODE_PEER, NULL, "the page server answers with %s %#" PRIx64 " in place of %#" PRIx64,
			 what, is, want);
}

/* The header of an answer is whole: it has to be one to the oldest GET. */
static int take_head(struct lazy_link *link, struct error *err)
{
	const struct lazy_get *get = link->nr ? get_at(link, 0) : NULL;
	struct page_command *head = &link->head;

	page_command_get(link->raw, link->form, head);
	if (!get) {
		link->wrong = true;
		return error_set(err, CODE_PEER, NULL, "the page server sends what was not asked for");
	}
	if (head->id != PAGE_COMMAND_ADD_FLAGS || head->flags != PAGEMAP_PRESENT)
		return wrong(link, err, "command", head->flags << 16 | head->id,
			     PAGEMAP_PRESENT << 16 | PAGE_COMMAND_ADD_FLAGS);
	if (head->target != get->target)
		return wrong(link, err, "pages of task", head->target, get->target);
	if (head->addr != get->addr)
		return wrong(link, err, "the page at", head->addr, get->addr);
	if (!head->nr_pages || head->nr_pages > get->nr_pages)
		return wrong(link, err, "so many pages:", head->nr_pages, get->nr_pages);
	return 0;
}

static int take_pages(struct lazy_link *link, lazy_link_fn fn, struct error *err)
{
	struct lazy_get get = *get_at(link, 0);
	uint64_t nr_pages = link->head.nr_pages;

	lazy_pace_came(&link->pace, now_us() - get.asked_us, nr_pages, link->asked, link->nr);
	link->first = (link->first + 1) % link->room;
	link->nr--;
	link->asked -= get.nr_pages;
	link->received += nr_pages;
	link->got = 0;
	/* what was left out is asked for again: it may be in another piece of the dump's memory */
	if (nr_pages < get.nr_pages &&
	    lazy_link_ask(link, get.owner, get.target, get.addr + nr_pages * PAGE_BYTES,
			  get.nr_pages - nr_pages, err))
		return -1;
	return fn(get.owner, get.addr, nr_pages, link->pages, err) ? -1 : 1;
}

int lazy_link_receive(struct lazy_link *link, lazy_link_fn fn, struct error *err)
{
	for (;;) {
		bool head = link->got < link->form;
		size_t whole = head ? link->form : link->form + link->head.nr_pages * PAGE_BYTES;
		void *to = head ? link->raw + link->got : link->pages + (link->got - link->form);
		ssize_t n = link_recv(link, to, whole - link->got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return link_failed(link, err);
		if (!n)
			return error_set(err, CODE_NETWORK, NULL, "the page server has closed the connection");
		link->got += n;
		if (link->got < whole)
			continue;
		if (!head)
			return take_pages(link, fn, err);
		if (take_head(link, err))
			return -1;
	}
}

void lazy_link_lost(struct lazy_link *link)
{
	tls_free(link->tls);
	link->tls = NULL;
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	link->wrong = false;
	link->nr = link->first = link->got = link->out_bytes = 0;
	link->asked = 0;
}

static bool readable(const struct lazy_link *link, int64_t until_ms)
{
	struct pollfd poll_fd = { .fd = link->fd, .events = POLLIN };
	int64_t left = until_ms - clock_now_ms();

	return lazy_link_has_more(link) || poll(&poll_fd, 1, left > 0 ? left : 0) > 0;
}

/* Return: 0; 1 when the socket has taken nothing for @limit_ms; -1 with @err */
static int send_within(struct lazy_link *link, const struct page_command *command, int limit_ms, struct error *err)
{
	struct pollfd poll_fd = { .fd = link->fd, .events = POLLOUT };

	if (put_command(link, command, err))
		return -1;
	while (!lazy_link_send(link, err) && link->out_bytes)
		if (poll(&poll_fd, 1, limit_ms) <= 0)
			return 1;
	return link->out_bytes ? -1 : 0;
}

static int send_last(struct lazy_link *link, const struct page_command *command, struct error *err)
{
	int ret = send_within(link, command, END_MS, err);

	return ret > 0 ? error_set(err, CODE_NETWORK, NULL, "the page server takes no more commands") : ret;
}

static int hear_status(struct lazy_link *link, int32_t *status, struct error *err)
{
	int64_t until_ms = clock_now_ms() + END_MS;
	size_t got = 0;

	while (got < sizeof(*status)) {
		ssize_t n = readable(link, until_ms) ?
			    link_recv(link, (char *)status + got, sizeof(*status) - got) : 0;

		if (n > 0)
			got += n;
		else if (!n || (errno != EINTR && errno != EAGAIN))
			return error_set(err, CODE_NETWORK, NULL,
					 "the page server does not say that the dump has ended");
	}
	return 0;
}

/* A socket that is closed with bytes unread is reset, which CRIU takes for a failure: TLS has last words. */
static void part(struct lazy_link *link)
{
	if (!link->tls)
		return;
	fcntl(link->fd, F_SETFL, fcntl(link->fd, F_GETFL) & ~O_NONBLOCK);
	tls_end(link->tls, TLS_END_MS);
}

/* Return: false at the end of the connection, or of the time */
static bool drop_some(struct lazy_link *link, int64_t until_ms)
{
	ssize_t n = readable(link, until_ms) ? link_recv(link, link->pages, LAZY_LINK_PAGES * PAGE_BYTES) : 0;

	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* What comes is no answer to anything: the server sees the command, and the end. */
static int part_unheard(struct lazy_link *link, struct error *err)
{
	int64_t until_ms = clock_now_ms() + END_MS;

	shutdown(link->fd, SHUT_WR);
	while (drop_some(link, until_ms))
		;
	lazy_link_lost(link);
	return error_set(err, CODE_PEER, NULL, "a page server that does not keep to the protocol was told that the dump is to end, and its answer is of no use");
}

int lazy_link_finish(struct lazy_link *link, struct error *err)
{
	const struct page_command command = {
		.id = link->force ? PAGE_COMMAND_FORCE_CLOSE : PAGE_COMMAND_CLOSE,
	};
	int32_t status = 0;
	int ret;

	set_reset(link->fd, false);
	ret = send_last(link, &command, err);
	if (!ret && link->wrong)
		return part_unheard(link, err);
	if (!ret)
		ret = hear_status(link, &status, err);
	if (!ret && status)
		ret = error_set(err, CODE_PEER, NULL, "the page server ends with status %d", status);
	if (!ret)
		part(link);
	lazy_link_lost(link);
	return ret;
}

void lazy_link_abort(struct lazy_link *link)
{
	/* a command that no version of CRIU knows: its page server fails, and the dump lets the tasks go on */
	const struct page_command command = { .id = 0 };
	int64_t until_ms = clock_now_ms() + END_MS;
	struct error ignored = { 0 };

	if (link->fd < 0)
		return;
	if (!send_last(link, &command, &ignored))
		/* it answers what was asked before, and may wait for room in the socket */
		while (drop_some(link, until_ms))
			;
	lazy_link_lost(link);
}

void lazy_link_free(struct lazy_link *link)
{
	lazy_link_lost(link);
	free(link->gets);
	free(link->out);
	free(link->pages);
	*link = (struct lazy_link){ .fd = -1 };
}

#define MARKS	3

static bool is_answer(struct lazy_link *link, const uint8_t *raw, const struct lazy_page *page)
{
	struct page_command head;

	page_command_get(raw, link->form, &head);
	return head.id == PAGE_COMMAND_ADD_FLAGS && head.flags == PAGEMAP_PRESENT && head.nr_pages == 1 &&
	       head.target == page->target && head.addr == page->addr;
}

/* It may answer the next one that tries. */
static int silent(struct error *err)
{
	return error_set(err, CODE_PEER, "start the same command again: the program waits meanwhile",
			 "the page server does not answer, and cannot be taken over");
}

/*
 * The server answers in order, and the end of the answers is all that can be found in the stream. So three pages are asked
 * for: one of them twice, and another one. The last bytes that come are these answers, which no earlier answers look like:
 * of what was asked before, no page was asked for twice in a row but by a process that did the same, with another pair.
 */
int lazy_link_resync(struct lazy_link *link, const struct lazy_page known[2], int limit_ms, struct error *err)
{
	const struct lazy_page *marks[MARKS] = { &known[0], &known[0], &known[1] };
	size_t one = link->form + PAGE_BYTES, all = MARKS * one, got = 0;
	uint8_t *last = link->pages;
	bool found = false;

	for (size_t i = 0; i < MARKS; i++) {
		const struct page_command get = {
			.id = PAGE_COMMAND_GET, .nr_pages = 1, .addr = marks[i]->addr, .target = marks[i]->target,
		};
		int ret = send_within(link, &get, limit_ms, err);

		if (ret)
			return ret > 0 ? silent(err) : -1;
	}
	while (!found) {
		ssize_t n;

		if (!readable(link, clock_now_ms() + limit_ms))
			return silent(err);
		n = link_recv(link, last + got, all);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return link_failed(link, err);
		if (!n)
			return error_set(err, CODE_NETWORK, NULL, "the page server has closed the connection");
		got += n;
		if (got > all) {
			memmove(last, last + got - all, all);
			got = all;
		}
		found = got == all;
		for (size_t i = 0; i < MARKS && found; i++)
			found = is_answer(link, last + i * one, marks[i]);
	}
	return 0;
}
