// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/report.h"
#include "source/awaited.h"

#define PREAMBLE_MS	5000	/* for a caller to say what it is; nobody else is heard meanwhile */
#define OTHERS_MS	10000	/* strangers' time does not count */
#define PAUSE_MS	50
#define SAY_MAX		20
#define SAY_MS		1000

static void say_listening(const struct awaited *awaited)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	char name[sizeof(addr)] = "";

	if (!getsockname(awaited->fd, (void *)&addr, &len))
		conn_address_text(&addr, len, name, sizeof(name));
	report_event("listening", json_pack("{s:s}", "address", name));
	report_say("waiting at %s for \"migrate-helper serve --from\"", name);
}

int awaited_open(struct awaited *awaited, const char *where, const struct tls_keys *keys, struct error *err)
{
	*awaited = (struct awaited){ .path = unix_path(where), .keys = keys };
	awaited->fd = conn_listen(where, err);
	if (awaited->fd < 0)
		return -1;
	if (awaited->path && unix_note(awaited->path, &awaited->file, err)) {
		close(awaited->fd);
		awaited->fd = -1;
		return -1;
	}
	say_listening(awaited);
	return 0;
}

void awaited_close(struct awaited *awaited)
{
	if (awaited->fd < 0)
		return;
	if (awaited->path)
		unix_remove(awaited->path, &awaited->file);
	close(awaited->fd);
	awaited->fd = -1;
}

void awaited_turn_away(struct awaited *awaited, const struct error *why)
{
	int64_t now = clock_now_ms();

	if (awaited->said < SAY_MAX || now - awaited->said_ms >= SAY_MS) {
		report_say("closed a connection: %s", why->what);
		awaited->said++;
		awaited->said_ms = now;
	}
	poll(NULL, 0, PAUSE_MS);
}

static int left_ms(int64_t until)
{
	int64_t left = until - clock_now_ms();

	return left < 0 ? 0 : left;
}

/* No process is worth starting before a caller has said that it speaks TLS. */
static int shake_hands(const struct awaited *awaited, struct conn *conn, int64_t until, struct tls_peer *peer,
		       struct error *err)
{
	struct pollfd pfd = { .fd = conn->fd, .events = POLLIN };
	struct tls_link link;

	*peer = (struct tls_peer){ .name = "" };
	if (awaited->keys->proof == TLS_NONE)
		return 0;
	if (poll(&pfd, 1, left_ms(until)) <= 0)
		return error_set(err, CODE_NETWORK, NULL, "it says nothing");
	return tls_link_check_hello(conn->fd, err) ||
	       tls_link_start(&link, conn->fd, true, NULL, awaited->keys, err) ||
	       tls_link_finish(&link, left_ms(until), conn, peer, err) || tls_link_check_unlimited(peer, err) ? -1 : 0;
}

/* A caller may say it byte by byte. */
static int read_preamble(const struct conn *conn, int64_t until, struct conn_preamble *pre, struct error *err)
{
	static const uint8_t none[CONN_ID_BYTES];
	struct error ignored = { 0 };
	struct conn say = *conn;

	for (size_t got = 0; got < sizeof(*pre);) {
		ssize_t n = conn_read_some(conn, (char *)pre + got, sizeof(*pre) - got, left_ms(until), err);

		if (n <= 0)
			return n ? -1 : error_set(err, CODE_NETWORK, NULL, "it closed without a word");
		got += n;
	}
	if (!conn_check_preamble(pre, err))
		return 0;
	/* it waits for this end's, which says the version */
	say.kind = CONN_CONTROL;
	if (conn_is_other_version(pre))
		conn_write_preamble(&say, none, &ignored);
	return -1;
}

/* Return: 0 with a caller and its preamble; -1 with @err, or without: this one was turned away */
static int next_caller(struct awaited *awaited, struct conn *conn, struct conn_preamble *pre, struct tls_peer *peer,
		       struct error *err)
{
	struct error why = { 0 };
	int64_t until;

	*conn = (struct conn){ .fd = accept4(awaited->fd, NULL, NULL, SOCK_CLOEXEC) };
	if (conn->fd < 0 && errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
		return error_errno(err, CODE_NETWORK, NULL, "nobody can call any more");
	if (conn->fd < 0)
		return -1;
	conn_tune_watched(conn->fd);
	/* accept4() may have waited for hours */
	until = clock_now_ms() + PREAMBLE_MS;
	if (!shake_hands(awaited, conn, until, peer, &why) && !read_preamble(conn, until, pre, &why))
		return 0;
	awaited_turn_away(awaited, &why);
	conn_close(conn);
	return -1;
}

int awaited_control(struct awaited *awaited, struct conn *conn, const uint8_t *id, struct error *err)
{
	static const uint8_t none[CONN_ID_BYTES];
	struct conn_preamble pre;
	struct error why = { 0 };

	for (;;) {
		if (next_caller(awaited, conn, &pre, &awaited->peer, err)) {
			if (error_is_set(err))
				return -1;
			continue;
		}
		memset(&why, 0, sizeof(why));
		if (pre.kind == CONN_CONTROL && !memcmp(pre.id, none, sizeof(none))) {
			conn->kind = CONN_CONTROL;
			conn->streams = awaited->streams;
			if (!conn_introduce(conn, id, &why))
				return 0;
		} else {
			error_set(&why, CODE_PEER, NULL, "it does not ask for a program: is it \"serve --from\"?");
			conn_close(conn);
		}
		awaited_turn_away(awaited, &why);
	}
}

static int take_other(const struct awaited *awaited, struct conn *memory, struct conn *urgent, const struct conn *conn,
		      const struct conn_preamble *pre)
{
	struct conn *to = pre->kind == CONN_MEMORY ? &memory[pre->index] : urgent;

	if (pre->kind == CONN_CONTROL || conn_is_open(to) || (to != urgent && pre->streams != awaited->streams))
		return -1;
	to->fd = conn->fd;
	to->tcp = conn->tcp;
	to->note = conn->note;
	to->in_kernel = conn->in_kernel;
	return 0;
}

/* The first one that did not come; NULL: all are there */
static const struct conn *missing(const struct awaited *awaited, const struct conn *memory, const struct conn *urgent)
{
	for (unsigned int i = 0; i < awaited->streams; i++)
		if (!conn_is_open(&memory[i]))
			return &memory[i];
	return conn_is_open(urgent) ? NULL : urgent;
}

static int did_not_come(const struct conn *conn, struct error *err)
{
	if (conn->kind == CONN_URGENT)
		return error_set(err, CODE_NETWORK, NULL, "the urgent connection of the destination did not come");
	return error_set(err, CODE_NETWORK, NULL, "memory stream %u of %u of the destination did not come",
			 conn->index + 1, conn->streams);
}

int awaited_others(struct awaited *awaited, struct conn *memory, struct conn *urgent, const uint8_t *id,
		   struct error *err)
{
	int64_t until = clock_now_ms() + OTHERS_MS;
	const struct conn *lacks;
	struct conn_preamble pre;

	while ((lacks = missing(awaited, memory, urgent))) {
		struct pollfd pfd = { .fd = awaited->fd, .events = POLLIN };
		int64_t left = until - clock_now_ms(), from;
		struct tls_peer peer;
		struct conn conn;

		if (left <= 0)
			return did_not_come(lacks, err);
		if (poll(&pfd, 1, left) <= 0)
			continue;
		from = clock_now_ms();
		if (next_caller(awaited, &conn, &pre, &peer, err)) {
			if (error_is_set(err))
				return -1;
			until += clock_now_ms() - from;
			continue;
		}
		if (memcmp(pre.id, id, CONN_ID_BYTES) || strcmp(peer.name, awaited->peer.name) ||
		    take_other(awaited, memory, urgent, &conn, &pre)) {
			awaited_turn_away(awaited, &(struct error){ .what = "it does not belong to this migration" });
			conn_close(&conn);
		}
	}
	return 0;
}
