/* SPDX-License-Identifier: GPL-2.0 */
/* The connection on which a pre-dump sends the memory of its processes to a page server, CRIU's or ours. */
#ifndef MIGRATE_SERVICES_PREDUMP_UPLINK_H
#define MIGRATE_SERVICES_PREDUMP_UPLINK_H

#include <stdbool.h>
#include "services/page_sender.h"

/**
 * struct predump_server - which page server, as the command line says
 * @address: NULL: none, the images are written here
 * @port: of @address
 * @wide: it is CRIU 4.2 or later
 * @tls: speak TLS, with @tls_files
 * @tls_any_name: its certificate need not be for @address
 */
struct predump_server {
	const char *address;
	unsigned long port;
	bool wide, tls, tls_any_name;
	struct tls_files tls_files;
};

/** struct predump_uplink - @stream: the connection; -1: not open */
struct predump_uplink {
	struct page_stream stream;
	struct page_sender sender;
};

#define PREDUMP_UPLINK_NONE	((struct predump_uplink){ .stream.fd = -1, .sender.pipe = { -1, -1 } })

/** predump_uplink_open() - connect; with TLS the handshake is over afterwards. From then on SIGPIPE is ignored */
int predump_uplink_open(struct predump_uplink *uplink, const struct predump_server *server, struct error *err);

/** predump_uplink_close() - hang up; without page_sender_close() before it the server has no complete images */
void predump_uplink_close(struct predump_uplink *uplink);

#endif
