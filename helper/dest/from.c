// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include "dest/from.h"
#include "dest/tell.h"

#define ANSWER_MS	30000	/* the source may be hearing strangers */
#define LINK_MAX	(2 + STREAMS_MAX)

/** struct from - the connections, and whom the TLS of each has proved */
struct from {
	struct conn conns[LINK_MAX];
	struct tls_peer peers[LINK_MAX];
};

static int ask(struct conn *control, const char *where, const struct tls_keys *keys, struct conn_preamble *pre,
	       struct tls_peer *peer, struct error *err)
{
	static const uint8_t none[CONN_ID_BYTES];

	if (tls_link_connect(control, where, CONN_CONTROL, none, keys, peer, err) ||
	    conn_read(control, pre, sizeof(*pre), ANSWER_MS, err) || conn_check_preamble(pre, err))
		return -1;
	return pre->kind == CONN_CONTROL ? 0 :
	       error_set(err, CODE_PEER, NULL, "what waits at \"%s\" is no source of a migration", where);
}

static int call(struct from *from, size_t i, const char *where, const uint8_t *id, const struct tls_keys *keys,
		struct error *err)
{
	return tls_link_open(&from->conns[i], where, id, keys, &from->peers[i], err) ||
	       tls_link_check_same(&from->peers[0], &from->peers[i], err) ? -1 : 0;
}

int from_connect(struct door *door, const char *where, const struct tls_keys *keys, struct error *err)
{
	struct from from = { .peers = { { .name = "" } } };
	struct conn_preamble pre = { .streams = 0 };
	size_t nr = 1;
	int ret;

	ret = ask(&from.conns[0], where, keys, &pre, &from.peers[0], err);
	for (; !ret && nr < 2U + pre.streams; nr++) {
		from.conns[nr] = nr <= pre.streams ? conn_stream(nr - 1, pre.streams) :
				 (struct conn){ .fd = -1, .kind = CONN_URGENT };
		ret = call(&from, nr, where, pre.id, keys, err);
	}
	if (ret) {
		while (nr--)
			conn_close(&from.conns[nr]);
		return -1;
	}
	door_give(door, from.conns, nr, keys);
	/* what their preambles would say is known */
	for (size_t i = 0; i < nr; i++) {
		struct caller *caller = &door->callers[i];

		caller->stage = CALLER_SPEAKS;
		snprintf(caller->name, sizeof(caller->name), "%s", from.peers[i].name);
		snprintf(caller->words, sizeof(caller->words), "%s", from.peers[i].words);
		snprintf(caller->peer, sizeof(caller->peer), "%s", where);
		caller->preamble = pre;
		caller->preamble.kind = from.conns[i].kind;
		caller->preamble.index = from.conns[i].index;
		caller->got = sizeof(caller->preamble);
	}
	tell("connected", json_pack("{s:s}", "address", where), "connected to %s", where);
	return 0;
}
