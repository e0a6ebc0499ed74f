/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_SOURCE_CONNECT_H
#define MIGRATE_SOURCE_CONNECT_H

#include "source/link_set.h"
#include "wire/given.h"

/**
 * connect_all() - the connections of one migration, and Hello
 * @to: the destination, as the user named it
 * @given: the connections that the caller opened, in place of @to; or none
 * @id: CONN_ID_BYTES, that tie the connections together
 *
 * After a failure too, link_set_close() closes what there is.
 */
int connect_all(struct link_set *links, const char *to, const struct given *given, const uint8_t *id,
		struct error *err);

#endif
