// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "dest/door.h"
#include "dest/tell.h"
#include "wire/message.h"

#define CALLER_TIMEOUT_MS	10000
#define HOST_PREFIX		64	/* bits of an IPv6 network, which has one owner */
#define HANDSHAKES_AT_ONCE	32	/* handshakes that start at once, and */
#define HANDSHAKE_EACH_MS	50	/* one more in each such time */
#define TOLD_MS			1000	/* for a caller that was told why it is turned away */
#define SAY_MAX			20
#define SAY_MS			1000
#define NAME_BYTES		sizeof(struct sockaddr_storage)

static int address_of(int fd, char *name, size_t size, struct error *err)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (void *)&addr, &len))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot tell where we listen");
	conn_address_text(&addr, len, name, size);
	return 0;
}

static void begin(struct door *door, int fd, const char *name, const struct tls_keys *keys)
{
	memset(door, 0, sizeof(*door));
	for (size_t i = 0; i < DOOR_CALLERS; i++)
		door->callers[i].conn = CONN_NONE;
	door->keys = keys;
	door->handshakes = HANDSHAKES_AT_ONCE;
	if (fd < 0) {
		door->listener.fd = -1;
		return;
	}
	listener_init(&door->listener, fd);
	tell("listening", json_pack("{s:s}", "address", name), "listening on %s", name);
}

void door_give(struct door *door, const struct conn *conns, size_t nr, const struct tls_keys *keys)
{
	begin(door, -1, NULL, keys);
	for (size_t i = 0; i < nr; i++) {
		struct caller *caller = &door->callers[i];

		conn_tune_watched(conn_link_fd(&conns[i]));
		*caller = (struct caller){
			.conn = conns[i], .deadline_ms = INT64_MAX,
			.stage = keys->proof == TLS_NONE ? CALLER_SPEAKS : CALLER_IS_SILENT,
		};
		snprintf(caller->peer, sizeof(caller->peer), "descriptor %d", conns[i].fd);
	}
}

size_t door_nr_callers(const struct door *door)
{
	size_t nr = 0;

	for (size_t i = 0; i < DOOR_CALLERS; i++)
		nr += conn_is_open(&door->callers[i].conn);
	return nr;
}

int door_open(struct door *door, const char *where, const struct tls_keys *keys, struct error *err)
{
	const char *path = unix_path(where);
	struct unix_file file = { 0 };
	char name[NAME_BYTES];
	int fd = conn_listen(where, err);

	if (fd < 0)
		return -1;
	if (address_of(fd, name, sizeof(name), err) || (path && unix_note(path, &file, err))) {
		close(fd);
		return -1;
	}
	begin(door, fd, name, keys);
	if (path) {
		snprintf(door->path, sizeof(door->path), "%s", path);
		door->file = file;
	}
	return 0;
}

int door_take(struct door *door, int fd, struct tls_keys *keys, const struct tls_options *opts, struct error *err)
{
	char name[NAME_BYTES];

	if (address_of(fd, name, sizeof(name), err) || conn_check_where(name, true, err) ||
	    tls_keys_find(keys, opts, name, err)) {
		close(fd);
		return -1;
	}
	begin(door, fd, name, keys);
	return 0;
}

static void let_go(struct caller *caller)
{
	if (caller->stage == CALLER_SHAKES)
		tls_link_cancel(&caller->link);
	caller->stage = CALLER_SPEAKS;
	conn_close(&caller->conn);
}

void door_close(struct door *door)
{
	for (size_t i = 0; i < DOOR_CALLERS; i++)
		let_go(&door->callers[i]);
	if (*door->path)
		unix_remove(door->path, &door->file);
	listener_close(&door->listener);
}

/* What comes next from this caller, or its handshake: -1: nothing is awaited. */
static int awaited_fd(const struct caller *caller)
{
	if (!conn_is_open(&caller->conn) || caller->got == sizeof(caller->preamble))
		return -1;
	switch (caller->stage) {
	case CALLER_SHAKES:
		return caller->link.sock;
	case CALLER_SPEAKS:
	case CALLER_IS_SILENT:
	case CALLER_IS_TOLD:
		return caller->conn.fd;
	default:
		return -1;
	}
}

void door_poll(const struct door *door, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = listener_poll_fd(&door->listener), .events = POLLIN };
	for (size_t i = 0; i < DOOR_CALLERS; i++) {
		const struct caller *caller = &door->callers[i];

		fds[1 + i] = (struct pollfd){ .fd = awaited_fd(caller), .events = POLLIN };
	}
}

/* Limit the lines of the log (SAY_MAX at once, then one a second): strangers could fill a disk. */
static bool may_say(struct door *door)
{
	int64_t now = clock_now_ms();

	if (now - door->said_ms >= SAY_MS) {
		door->said = door->said > (now - door->said_ms) / SAY_MS ?
			     door->said - (now - door->said_ms) / SAY_MS : 0;
		door->said_ms = now;
	}
	if (door->said == SAY_MAX) {
		door->unsaid++;
		return false;
	}
	door->said++;
	return true;
}

static void say_stranger(struct door *door, const struct caller *caller, const char *why)
{
	door->strangers++;
	if (!may_say(door))
		return;
	tell("stranger", json_pack("{s:o,s:s,s:I,s:I}", "peer",
				   report_text(caller->peer), "reason", why,
				   "count", (json_int_t)door->strangers,
				   "unsaid", (json_int_t)door->unsaid),
	     "closed a connection from %s: %s", caller->peer, why);
	door->unsaid = 0;
}

void door_turn_away(struct door *door, struct caller *caller, const char *why)
{
	let_go(caller);
	say_stranger(door, caller, why);
}

size_t door_callers_of(const struct door *door, const char *host)
{
	size_t nr = 0;

	for (size_t i = 0; i < DOOR_CALLERS; i++)
		nr += conn_is_open(&door->callers[i].conn) && !strcmp(door->callers[i].host, host);
	return nr;
}

/* Turn away a caller of the address with most callers: rather one without a whole preamble. */
static struct caller *free_place(struct door *door)
{
	struct caller *goes = NULL;
	size_t most = 0;

	for (size_t i = 0; i < DOOR_CALLERS; i++) {
		struct caller *caller = &door->callers[i];
		bool complete = caller->got == sizeof(caller->preamble);
		size_t nr;

		if (!conn_is_open(&caller->conn))
			return caller;
		nr = 2 * door_callers_of(door, caller->host) + !complete;
		if (nr > most || (nr == most && caller->deadline_ms < goes->deadline_ms)) {
			most = nr;
			goes = caller;
		}
	}
	door_turn_away(door, goes, "too many callers");
	return goes;
}

void door_host(const struct sockaddr_storage *addr, char *host, size_t size)
{
	const struct sockaddr_in *in = (const void *)addr;
	const struct sockaddr_in6 *in6 = (const void *)addr;
	struct in6_addr net = { 0 };
	char text[INET6_ADDRSTRLEN];

	*host = 0;
	if (addr->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, host, size);
	} else if (addr->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, size);
	} else if (addr->ss_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr)) {
		/* all machines of a link have the same first bits */
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		snprintf(host, size, "%s%%%u", text, in6->sin6_scope_id);
	} else if (addr->ss_family == AF_INET6) {
		memcpy(&net, &in6->sin6_addr, HOST_PREFIX / 8);
		inet_ntop(AF_INET6, &net, text, sizeof(text));
		snprintf(host, size, "%s/%d", text, HOST_PREFIX);
	}
}

static void let_in(struct door *door)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct caller *caller;
	int fd;

	fd = listener_accept(&door->listener, &addr, &len);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED && may_say(door))
			report_say("callers wait: they cannot be accepted (%s)", strerror(errno));
		return;
	}
	conn_tune_watched(fd);
	caller = free_place(door);
	caller->conn = (struct conn){ .fd = fd };
	caller->stage = door->keys->proof == TLS_NONE ? CALLER_SPEAKS : CALLER_IS_SILENT;
	*caller->name = *caller->words = 0;
	caller->got = 0;
	caller->deadline_ms = clock_now_ms() + CALLER_TIMEOUT_MS;
	conn_address_text(&addr, len, caller->peer, sizeof(caller->peer));
	door_host(&addr, caller->host, sizeof(caller->host));
}

/*
 * Another version's source waits for an answer on control, and an Abort is one in each version. The source has more to
 * say: the connection is read for a while, since one that is closed before that is reset, and the Abort with it.
 */
static void tell_version(struct door *door, struct caller *caller, const struct error *why)
{
	bool asks = conn_is_other_version(&caller->preamble) && caller->preamble.kind == CONN_CONTROL;
	struct error ignored = { 0 };
	size_t bytes = 0;
	uint8_t *text = asks ? message_pack_abort(why, true, &bytes, &ignored) : NULL;

	if (text && conn_write_now(&caller->conn, text, bytes) == (ssize_t)bytes) {
		caller->stage = CALLER_IS_TOLD;
		caller->got = 0;
		caller->deadline_ms = clock_now_ms() + TOLD_MS;
		say_stranger(door, caller, why->what);
	} else {
		door_turn_away(door, caller, why->what);
	}
	free(text);
}

static void drain(struct caller *caller)
{
	char buf[256];
	ssize_t n = conn_read_now(&caller->conn, buf, sizeof(buf));

	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
		let_go(caller);
}

static void listen_to(struct door *door, struct caller *caller)
{
	uint8_t *to = (uint8_t *)&caller->preamble + caller->got;
	struct error why = { 0 };
	ssize_t n;

	n = conn_read_now(&caller->conn, to, sizeof(caller->preamble) - caller->got);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		door_turn_away(door, caller, "it closed without a word");
		return;
	}
	caller->got += n;
	if (caller->got == sizeof(caller->preamble) &&
	    conn_check_preamble(&caller->preamble, &why))
		tell_version(door, caller, &why);
}

/* No process is worth starting before a caller has said that it speaks TLS. */
static void hear_first_byte(struct door *door, struct caller *caller)
{
	struct error why = { 0 };

	if (tls_link_check_hello(caller->conn.fd, &why))
		door_turn_away(door, caller, why.what);
	else
		caller->stage = CALLER_WAITS;
}

static void hear_handshake(struct door *door, struct caller *caller)
{
	struct tls_peer peer;
	struct error why = { 0 };

	if (tls_link_finish(&caller->link, 0, &caller->conn, &peer, &why)) {
		caller->stage = CALLER_SPEAKS;
		door_turn_away(door, caller, why.what);
		return;
	}
	caller->stage = CALLER_SPEAKS;
	snprintf(caller->name, sizeof(caller->name), "%s", peer.name);
	snprintf(caller->words, sizeof(caller->words), "%s", peer.words);
}

/* How many handshakes run, for callers of @host (NULL: for all) */
static size_t count_handshakes(const struct door *door, const char *host)
{
	size_t nr = 0;

	for (size_t i = 0; i < DOOR_CALLERS; i++) {
		const struct caller *caller = &door->callers[i];

		nr += conn_is_open(&caller->conn) && caller->stage == CALLER_SHAKES &&
		      (!host || !strcmp(caller->host, host));
	}
	return nr;
}

/* Limits the rate of handshakes, since each costs a process and arithmetic with large numbers. */
static bool may_shake_hands(struct door *door, int64_t now)
{
	while (door->handshakes < HANDSHAKES_AT_ONCE && now - door->handshakes_ms >= HANDSHAKE_EACH_MS) {
		door->handshakes++;
		door->handshakes_ms += HANDSHAKE_EACH_MS;
	}
	if (door->handshakes == HANDSHAKES_AT_ONCE)
		door->handshakes_ms = now;
	return door->handshakes && count_handshakes(door, NULL) < DOOR_HANDSHAKES;
}

/* Of those that wait, one from an address with few handshakes: the one that has waited longest */
static struct caller *next_in_turn(struct door *door)
{
	struct caller *next = NULL;
	size_t least = 0;

	for (size_t i = 0; i < DOOR_CALLERS; i++) {
		struct caller *caller = &door->callers[i];
		size_t nr;

		if (!conn_is_open(&caller->conn) || caller->stage != CALLER_WAITS)
			continue;
		nr = count_handshakes(door, caller->host);
		if (nr >= DOOR_HANDSHAKES / 2)
			continue;
		if (!next || nr < least || (nr == least && caller->deadline_ms < next->deadline_ms)) {
			next = caller;
			least = nr;
		}
	}
	return next;
}

static void start_handshakes(struct door *door, int64_t now)
{
	struct error why = { 0 };
	struct caller *caller;

	while (may_shake_hands(door, now) && (caller = next_in_turn(door))) {
		door->handshakes--;
		caller->stage = CALLER_SHAKES;
		if (tls_link_start(&caller->link, caller->conn.fd, true, NULL, door->keys, &why)) {
			caller->stage = CALLER_WAITS;
			door_turn_away(door, caller, why.what);
			return;
		}
	}
}

static void hear_caller(struct door *door, struct caller *caller)
{
	switch (caller->stage) {
	case CALLER_SHAKES:
		hear_handshake(door, caller);
		break;
	case CALLER_IS_SILENT:
		hear_first_byte(door, caller);
		break;
	case CALLER_IS_TOLD:
		drain(caller);
		break;
	default:
		listen_to(door, caller);
	}
}

void door_step(struct door *door, const struct pollfd *fds)
{
	int64_t now = clock_now_ms();

	for (size_t i = 0; i < DOOR_CALLERS; i++) {
		struct caller *caller = &door->callers[i];
		int fd = awaited_fd(caller);

		if (fd >= 0 && fds[1 + i].fd == fd && fds[1 + i].revents)
			hear_caller(door, caller);
		if (conn_is_open(&caller->conn) && now >= caller->deadline_ms && caller->stage == CALLER_IS_TOLD)
			let_go(caller);
		if (conn_is_open(&caller->conn) && now >= caller->deadline_ms)
			door_turn_away(door, caller, "nothing useful came from it in time");
	}
	if (fds[0].revents)
		let_in(door);
	start_handshakes(door, now);
}
