// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "wire/tls_relay.h"

#define BUFFER_BYTES	16384	/* a record */
#define DRAIN_MS	5000	/* for what the other end still says */
#define LEFT_MS		30000	/* for the connection to take the last bytes, when nobody waits for an answer */
#define TICK_MS		1000

/** struct flow - one direction; @at, @bytes: what waits in @buf. @ended: its source has ended, and was told */
struct flow {
	char buf[BUFFER_BYTES];
	size_t at, bytes;
	bool ended;
};

/**
 * struct relay - @out: to the connection; @in: from it
 * @records: written with the present key; @rekeying: it has written enough
 * @out_waits: the connection takes no bytes now; @in_waits: @plain takes none
 * @dead: the connection has ended without the other end's word
 * @left_ms: nobody has had the other end of @plain since then; 0: somebody has
 */
struct relay {
	struct tls *tls;
	int plain, tcp;
	struct flow out, in;
	uint64_t records, max_records;
	bool rekeys, rekeying, out_waits, in_waits, dead;
	int64_t left_ms;
	struct error *err;
};

static void broken(struct relay *relay)
{
	relay->dead = true;
	if (tls_why(relay->tls))
		error_set(relay->err, CODE_PEER, NULL, "the encryption of a connection is broken: %s",
			  tls_why(relay->tls));
}

/* A key that has encrypted its share is replaced, and the other end replaces its own. */
static void count_record(struct relay *relay)
{
	if (++relay->records < relay->max_records)
		return;
	relay->rekeying = relay->rekeys;
	relay->dead = !relay->rekeys;
	if (relay->dead)
		error_set(relay->err, CODE_NETWORK, NULL,
			  "one key has encrypted %lu records, and the other end's kernel takes no second one",
			  (unsigned long)relay->max_records);
}

static void rekey(struct relay *relay)
{
	int ret = gnutls_session_key_update(tls_session(relay->tls), GNUTLS_KU_PEER);

	relay->out_waits = ret == GNUTLS_E_AGAIN || ret == GNUTLS_E_INTERRUPTED;
	if (relay->out_waits)
		return;
	relay->rekeying = false;
	relay->records = 0;
	relay->dead = ret;
}

static void write_record(struct relay *relay)
{
	struct flow *out = &relay->out;
	ssize_t n = tls_try_write(relay->tls, out->buf + out->at, out->bytes - out->at);

	relay->out_waits = n < 0 && errno == EAGAIN;
	if (n > 0) {
		out->at += n;
		count_record(relay);
	} else if (!relay->out_waits) {
		broken(relay);
	}
}

static void write_out(struct relay *relay)
{
	do {
		if (relay->rekeying)
			rekey(relay);
		else
			write_record(relay);
	} while (!relay->dead && !relay->out_waits &&
		 (relay->rekeying || relay->out.at < relay->out.bytes));
}

static void read_plain(struct relay *relay)
{
	struct flow *out = &relay->out;
	ssize_t n = recv(relay->plain, out->buf, sizeof(out->buf), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		out->at = 0;
		out->bytes = n;
		write_out(relay);
		return;
	}
	out->ended = true;
	tls_end(relay->tls, 0);
	shutdown(relay->tcp, SHUT_WR);
}

static void write_plain(struct relay *relay)
{
	struct flow *in = &relay->in;

	while (in->at < in->bytes) {
		ssize_t n = send(relay->plain, in->buf + in->at, in->bytes - in->at, MSG_NOSIGNAL);

		relay->in_waits = n < 0 && errno == EAGAIN;
		if (relay->in_waits)
			return;
		/* nobody is there any more: the rest is read, so that the connection is not reset */
		in->at += n > 0 ? (size_t)n : in->bytes - in->at;
	}
}

static void read_in(struct relay *relay)
{
	struct flow *in = &relay->in;

	do {
		ssize_t n = tls_try_read(relay->tls, in->buf, sizeof(in->buf));

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			broken(relay);
			return;
		}
		in->at = 0;
		in->bytes = n;
		if (!n) {
			in->ended = true;
			shutdown(relay->plain, SHUT_WR);
			return;
		}
		write_plain(relay);
	} while (!relay->in_waits && tls_has_more(relay->tls));
}

static void set_nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static bool is_over(const struct relay *relay)
{
	return relay->dead || (relay->out.ended && relay->in.ended);
}

static void poll_set(const struct relay *relay, struct pollfd fds[2])
{
	fds[0] = (struct pollfd){ .fd = relay->plain, .events = relay->in_waits ? POLLOUT : 0 };
	fds[1] = (struct pollfd){ .fd = relay->tcp, .events = relay->out_waits ? POLLOUT : 0 };
	if (!relay->out_waits && !relay->out.ended)
		fds[0].events |= POLLIN;
	if (!relay->in_waits && !relay->in.ended)
		fds[1].events |= POLLIN;
	/* a hang-up, or a reset, would come again and again, while what was written before it waits */
	if (!fds[1].events)
		fds[1].fd = -1;
	if (relay->left_ms && !(fds[0].events & POLLIN))
		fds[0].fd = -1;
}

/* One look at both sockets */
static void step(struct relay *relay, int timeout_ms)
{
	struct pollfd fds[2];

	poll_set(relay, fds);
	if (poll(fds, 2, timeout_ms) <= 0)
		return;
	if (fds[0].revents & POLLHUP && !relay->left_ms)
		relay->left_ms = clock_now_ms();
	if (fds[0].revents && relay->in_waits)
		write_plain(relay);
	if (fds[1].revents && relay->out_waits)
		write_out(relay);
	if (fds[1].revents && !relay->in_waits && !relay->in.ended && !relay->dead)
		read_in(relay);
	if (fds[0].revents && !relay->out_waits && !relay->out.ended && !relay->dead)
		read_plain(relay);
}

/*
 * A connection that is closed while bytes are unread is reset, and with it go the last bytes to the other end.
 * This end has said its last word: what still comes is taken for a while.
 */
static void drain(struct relay *relay)
{
	int64_t until = clock_now_ms() + DRAIN_MS;

	while (!is_over(relay) && clock_now_ms() < until)
		step(relay, TICK_MS);
}

/* The connection takes nothing, and nobody waits for it. */
static bool is_late(const struct relay *relay)
{
	return relay->left_ms && clock_now_ms() - relay->left_ms >= LEFT_MS;
}

int tls_relay_run(struct tls *tls, int plain, int tcp, uint64_t max_records, bool rekeys, struct error *err)
{
	struct relay relay = {
		.tls = tls, .plain = plain, .tcp = tcp, .max_records = max_records, .rekeys = rekeys,
		.err = err,
	};

	set_nonblocking(plain);
	set_nonblocking(tcp);
	while (!is_over(&relay) && !(relay.left_ms && relay.out.ended) && !is_late(&relay))
		step(&relay, relay.left_ms ? TICK_MS : -1);
	drain(&relay);
	return error_is_set(err) ? -1 : 0;
}
