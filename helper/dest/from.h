/* SPDX-License-Identifier: GPL-2.0 */
/* The connections of one migration that the destination makes (serve --from), to a source that waits (source/awaited.h). */
#ifndef MIGRATE_DEST_FROM_H
#define MIGRATE_DEST_FROM_H

#include "dest/door.h"

/** from_connect() - the callers of @door are the connections of the migration that waits at @where */
int from_connect(struct door *door, const char *where, const struct tls_keys *keys, struct error *err);

#endif
