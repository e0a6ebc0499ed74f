// SPDX-License-Identifier: GPL-2.0
#include <string.h>
#include "dest/from.h"
#include "dest/tell.h"

#define ANSWER_MS	30000	/* the source may be hearing strangers */
#define LINK_NR		3

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

int from_connect(struct door *door, const char *where, const struct tls_keys *keys, struct error *err)
{
	struct conn conns[LINK_NR] = { CONN_NONE, CONN_NONE, CONN_NONE };
	struct tls_peer peer = { .name = "" };
	struct conn_preamble pre;

	if (ask(&conns[0], where, keys, &pre, &peer, err) ||
	    tls_link_connect(&conns[1], where, CONN_MEMORY, pre.id, keys, &peer, err) ||
	    tls_link_connect(&conns[2], where, CONN_URGENT, pre.id, keys, &peer, err)) {
		for (size_t i = 0; i < LINK_NR; i++)
			conn_close(&conns[i]);
		return -1;
	}
	door_give(door, conns, LINK_NR, keys);
	/* what their preambles would say is known */
	for (size_t i = 0; i < LINK_NR; i++) {
		struct caller *caller = &door->callers[i];

		caller->preamble = pre;
		caller->preamble.kind = conns[i].kind;
		caller->got = sizeof(caller->preamble);
	}
	tell("connected", json_pack("{s:s}", "address", where), "connected to %s", where);
	return 0;
}
