// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include "base/report.h"
#include "source/awaited.h"
#include "source/connect.h"

#define HELLO_TIMEOUT_MS	10000

/* A destination that knows of no streams takes one. */
static int check_streams(const Migrate__Hello *hello, unsigned int streams, struct error *err)
{
	unsigned int most = hello->has_streams ? hello->streams : 1;

	return streams <= most ? 0 :
	       error_set(err, CODE_PEER, most == 1 ? "leave --streams out" : "give a smaller --streams",
			 "%s (%s) takes %u memory %s, and --streams says %u", hello->hostname, hello->software, most,
			 most == 1 ? "stream" : "streams", streams);
}

static int hello(struct control *ctl, unsigned int streams, struct error *err)
{
	Migrate__Control *got;
	int ret = 0;

	if (control_send_hello(ctl, streams, err))
		return -1;
	got = control_expect(ctl, MIGRATE__CONTROL__BODY_HELLO, HELLO_TIMEOUT_MS, err);
	if (!got)
		return -1;
	if (got->hello->version != PROTOCOL_VERSION)
		ret = error_set(err, CODE_PEER, "install the same version on both machines",
				"%s speaks version %u of the protocol, this is version %d",
				got->hello->hostname, got->hello->version, PROTOCOL_VERSION);
	else
		ret = check_streams(got->hello, streams, err);
	if (!ret)
		report_say("connected to %s (%s)", got->hello->hostname, got->hello->software);
	migrate__control__free_unpacked(got, NULL);
	return ret;
}

/* A destination that hangs up on an end without TLS cannot say why. */
static void hint_at_tls(const struct tls_keys *keys, struct error *err)
{
	if (keys->proof == TLS_NONE && err->code == CODE_NETWORK && !*err->hint)
		snprintf(err->hint, sizeof(err->hint), "its log says why; does \"serve\" run with --insecure there?");
}

/* Who encrypts; and when the kernel does not, what would help. */
static const char *say_who_encrypts(const struct tls_peer *peer)
{
	if (peer->in_kernel)
		return "kernel";
	report_say("TLS is made by this program, which is slower: the kernel makes it with the module \"tls\" at both ends (modprobe tls)");
	return "program";
}

static int call_other(struct conn *conn, const char *to, const uint8_t *id, const struct tls_keys *keys,
		      const struct tls_peer *first, struct error *err)
{
	struct tls_peer peer = { .name = "" };

	return tls_link_open(conn, to, id, keys, &peer, err) || tls_link_check_same(first, &peer, err) ? -1 : 0;
}

static int connect_to(struct link_set *links, const char *to, const uint8_t *id, const struct tls_keys *keys,
		      struct error *err)
{
	struct tls_peer peer = { .name = "" };
	struct conn control;

	if (tls_link_connect(&control, to, CONN_CONTROL, id, keys, &peer, err))
		return -1;
	links->ctl = control_new(&control, COURSE_SOURCE, err);
	if (!links->ctl)
		return -1;
	if (hello(links->ctl, links->streams, err)) {
		hint_at_tls(keys, err);
		return -1;
	}
	for (unsigned int i = 0; i < links->streams; i++)
		if (call_other(&links->memory[i], to, id, keys, &peer, err))
			return -1;
	if (call_other(&links->urgent, to, id, keys, &peer, err))
		return -1;
	links->tls = keys->proof == TLS_NONE ? "none" : say_who_encrypts(&peer);
	return 0;
}

static int seal_other(struct conn *conn, int fd, const uint8_t *id, const struct tls_keys *keys,
		      const struct tls_peer *first, struct error *err)
{
	struct tls_peer peer = { .name = "" };

	return tls_link_over(conn, fd, id, keys, &peer, err) || tls_link_check_same(first, &peer, err) ? -1 : 0;
}

static int connect_given(struct link_set *links, const struct given *given, const uint8_t *id,
			 const struct tls_keys *keys, struct error *err)
{
	struct tls_peer peer = { .name = "" };
	struct conn control = { .fd = -1, .kind = CONN_CONTROL };

	if (tls_link_over(&control, given->rpc, id, keys, &peer, err))
		return -1;
	if (tls_link_check_unlimited(&peer, err)) {
		conn_close(&control);
		return -1;
	}
	links->ctl = control_new(&control, COURSE_SOURCE, err);
	links->tls = keys->proof == TLS_NONE ? "none" : say_who_encrypts(&peer);
	if (!links->ctl || hello(links->ctl, links->streams, err) ||
	    seal_other(&links->memory[0], given->mem[0], id, keys, &peer, err) ||
	    seal_other(&links->urgent, given->mem[1], id, keys, &peer, err))
		return -1;
	for (unsigned int i = 1; i < links->streams; i++)
		if (seal_other(&links->memory[i], given->mem[1 + i], id, keys, &peer, err))
			return -1;
	return 0;
}

static void forget(struct link_set *links)
{
	control_close(links->ctl);
	links->ctl = NULL;
	for (unsigned int i = 0; i < links->streams; i++)
		conn_close(&links->memory[i]);
	conn_close(&links->urgent);
}

static int greet(struct link_set *links, struct conn *control, struct error *err)
{
	links->ctl = control_new(control, COURSE_SOURCE, err);
	return links->ctl ? hello(links->ctl, links->streams, err) : -1;
}

/*
 * The destination says Hello when it has all connections. With TLS it has one when this end has done the handshake, so
 * Hello comes last. Without TLS it comes first: a stranger that is silent here would keep the destination out.
 */
static int meet(struct link_set *links, struct awaited *awaited, struct conn *control, const uint8_t *id,
		struct error *err)
{
	if (awaited->keys->proof == TLS_NONE)
		return greet(links, control, err) ||
		       awaited_others(awaited, links->memory, &links->urgent, id, err) ? -1 : 0;
	if (!awaited_others(awaited, links->memory, &links->urgent, id, err))
		return greet(links, control, err);
	conn_close(control);
	return -1;
}

/* A caller that is no destination does not end the migration. */
static int connect_awaited(struct link_set *links, const char *where, const uint8_t *id, const struct tls_keys *keys,
			   struct error *err)
{
	struct awaited awaited;
	struct conn control;
	int ret;

	if (awaited_open(&awaited, where, keys, err))
		return -1;
	awaited.streams = links->streams;
	for (;;) {
		struct error why = { 0 };

		ret = awaited_control(&awaited, &control, id, err);
		if (ret || !meet(links, &awaited, &control, id, &why))
			break;
		awaited_turn_away(&awaited, &why);
		forget(links);
	}
	if (!ret)
		links->tls = keys->proof == TLS_NONE ? "none" : say_who_encrypts(&awaited.peer);
	awaited_close(&awaited);
	return ret;
}

int connect_all(struct link_set *links, const struct connect_way *way, const uint8_t *id,
		const struct tls_keys *keys, struct error *err)
{
	if (way->given && given_has_link(way->given))
		return connect_given(links, way->given, id, keys, err);
	return way->listens ? connect_awaited(links, way->where, id, keys, err) :
			      connect_to(links, way->where, id, keys, err);
}
