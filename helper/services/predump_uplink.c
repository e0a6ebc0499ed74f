// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <unistd.h>
#include "services/predump_uplink.h"
#include "wire/conn.h"

#define HANDSHAKE_MS	30000

static int begin_tls(struct predump_uplink *uplink, const struct predump_server *server, struct error *err)
{
	struct tls_trust *trust = tls_trust_load(&server->tls_files, err);

	if (!trust)
		return -1;
	uplink->stream.tls = tls_connect(uplink->stream.fd, trust,
					 server->tls_any_name ? NULL : server->address, HANDSHAKE_MS, err);
	tls_trust_free(trust);
	return uplink->stream.tls ? 0 : -1;
}

int predump_uplink_open(struct predump_uplink *uplink, const struct predump_server *server, struct error *err)
{
	char where[256];

	*uplink = PREDUMP_UPLINK_NONE;
	signal(SIGPIPE, SIG_IGN);
	conn_where(server->address, server->port, where, sizeof(where));
	uplink->stream.fd = conn_dial(where, err);
	if (uplink->stream.fd >= 0 && (!server->tls || !begin_tls(uplink, server, err)) &&
	    !page_sender_init(&uplink->sender, &uplink->stream, server->wide, err))
		return 0;
	predump_uplink_close(uplink);
	return -1;
}

void predump_uplink_close(struct predump_uplink *uplink)
{
	page_sender_free(&uplink->sender);
	tls_free(uplink->stream.tls);
	if (uplink->stream.fd >= 0)
		close(uplink->stream.fd);
	*uplink = PREDUMP_UPLINK_NONE;
}
