// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include "dest/from.h"
#include "dest/tell.h"

#define ANSWER_MS	30000	/* the source may be hearing strangers */
#define LINK_NR		3

/** struct from - the connections, and whom the TLS of each has proved */
struct from {
	struct conn conns[LINK_NR];
	struct tls_peer peers[LINK_NR];
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

static int call(struct from *from, size_t i, const char *where, enum conn_kind kind, const uint8_t *id,
		const struct tls_keys *keys, struct error *err)
{
	return tls_link_connect(&from->conns[i], where, kind, id, keys, &from->peers[i], err) ||
	       tls_link_check_same(&from->peers[0], &from->peers[i], err) ? -1 : 0;
}

int from_connect(struct door *door, const char *where, const struct tls_keys *keys, struct error *err)
{
	struct from from = { .conns = { CONN_NONE, CONN_NONE, CONN_NONE } };
	struct conn_preamble pre;

	if (ask(&from.conns[0], where, keys, &pre, &from.peers[0], err) ||
	    call(&from, 1, where, CONN_MEMORY, pre.id, keys, err) ||
	    call(&from, 2, where, CONN_URGENT, pre.id, keys, err)) {
		for (size_t i = 0; i < LINK_NR; i++)
			conn_close(&from.conns[i]);
		return -1;
	}
	door_give(door, from.conns, LINK_NR, keys);
	/* what their preambles would say is known */
	for (size_t i = 0; i < LINK_NR; i++) {
		struct caller *caller = &door->callers[i];

		caller->stage = CALLER_SPEAKS;
		snprintf(caller->name, sizeof(caller->name), "%s", from.peers[i].name);
		snprintf(caller->words, sizeof(caller->words), "%s", from.peers[i].words);
		snprintf(caller->peer, sizeof(caller->peer), "%s", where);
		caller->preamble = pre;
		caller->preamble.kind = from.conns[i].kind;
		caller->got = sizeof(caller->preamble);
	}
	tell("connected", json_pack("{s:s}", "address", where), "connected to %s", where);
	return 0;
}
