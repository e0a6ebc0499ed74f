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
#define OTHERS_MS	10000

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

void awaited_turn_away(const struct error *why)
{
	report_say("closed a connection: %s", why->what);
}

/* No process is worth starting before a caller has said that it speaks TLS. */
static int shake_hands(const struct awaited *awaited, struct conn *conn, struct tls_peer *peer, struct error *err)
{
	struct pollfd pfd = { .fd = conn->fd, .events = POLLIN };
	struct tls_link link;

	*peer = (struct tls_peer){ .name = "" };
	if (awaited->keys->proof == TLS_NONE)
		return 0;
	if (poll(&pfd, 1, PREAMBLE_MS) <= 0)
		return error_set(err, CODE_NETWORK, NULL, "it says nothing");
	return tls_link_check_hello(conn->fd, err) ||
	       tls_link_start(&link, conn->fd, true, NULL, awaited->keys, err) ||
	       tls_link_finish(&link, PREAMBLE_MS, conn, peer, err) ? -1 : 0;
}

/* Return: 0 with a caller and its preamble; -1 with @err, or without: this one was turned away */
static int next_caller(struct awaited *awaited, struct conn *conn, struct conn_preamble *pre, struct tls_peer *peer,
		       struct error *err)
{
	struct error why = { 0 };

	*conn = (struct conn){ .fd = accept4(awaited->fd, NULL, NULL, SOCK_CLOEXEC) };
	if (conn->fd < 0 && errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
		return error_errno(err, CODE_NETWORK, NULL, "nobody can call any more");
	if (conn->fd < 0)
		return -1;
	conn_tune_watched(conn->fd);
	if (!shake_hands(awaited, conn, peer, &why) && !conn_read(conn, pre, sizeof(*pre), PREAMBLE_MS, &why) &&
	    !conn_check_preamble(pre, &why))
		return 0;
	awaited_turn_away(&why);
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
			if (!conn_introduce(conn, CONN_CONTROL, id, &why))
				return 0;
		} else {
			error_set(&why, CODE_PEER, NULL, "it does not ask for a program: is it \"serve --from\"?");
			conn_close(conn);
		}
		awaited_turn_away(&why);
	}
}

static int take_other(struct conn *to, const struct conn *conn, enum conn_kind kind)
{
	if (conn_is_open(to))
		return -1;
	*to = *conn;
	to->kind = kind;
	return 0;
}

int awaited_others(struct awaited *awaited, struct conn *memory, struct conn *urgent, const uint8_t *id,
		   struct error *err)
{
	int64_t until = clock_now_ms() + OTHERS_MS;
	struct conn_preamble pre;

	while (!conn_is_open(memory) || !conn_is_open(urgent)) {
		struct pollfd pfd = { .fd = awaited->fd, .events = POLLIN };
		int64_t left = until - clock_now_ms();
		struct tls_peer peer;
		struct conn conn;

		if (left <= 0)
			return error_set(err, CODE_NETWORK, NULL,
					 "the memory and urgent connections of the destination did not come");
		if (poll(&pfd, 1, left) <= 0)
			continue;
		if (next_caller(awaited, &conn, &pre, &peer, err)) {
			if (error_is_set(err))
				return -1;
			continue;
		}
		if (memcmp(pre.id, id, CONN_ID_BYTES) || strcmp(peer.name, awaited->peer.name) ||
		    (pre.kind != CONN_MEMORY && pre.kind != CONN_URGENT) ||
		    take_other(pre.kind == CONN_MEMORY ? memory : urgent, &conn, pre.kind)) {
			awaited_turn_away(&(struct error){ .what = "it does not belong to this migration" });
			conn_close(&conn);
		}
	}
	return 0;
}
