/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_SOURCE_CONNECT_H
#define MIGRATE_SOURCE_CONNECT_H

#include "source/link_set.h"
#include "wire/given.h"
#include "wire/tls_link.h"

/**
 * struct connect_way - how the connections come about
 * @where: an address, to which they go; or with @listens, where the destination calls
 * @given: or that the caller opened, if there are any
 */
struct connect_way {
	const char *where;
	bool listens;
	const struct given *given;
};

/**
 * connect_all() - the connections of one migration, as many memory streams as link_set_init() said, and Hello
 * @id: CONN_ID_BYTES, that tie the connections together
 * @keys: for TLS
 *
 * After a failure too, link_set_close() closes what there is.
 */
int connect_all(struct link_set *links, const struct connect_way *way, const uint8_t *id,
		const struct tls_keys *keys, struct error *err);

#endif
