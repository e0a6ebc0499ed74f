/* SPDX-License-Identifier: GPL-2.0 */
/* What CRIU is to leave out of its images, as its option `external` names it. */
#ifndef MIGRATE_SOURCE_EXTERNAL_H
#define MIGRATE_SOURCE_EXTERNAL_H

#include "base/error.h"
#include "source/outgoing.h"

/** struct externals - names for criu_dump_opts. Zeroed is empty */
struct externals {
	char **names;
	size_t nr;
};

/**
 * externals_find() - the sockets and terminals that the program has now
 *
 * What came since SETUP is refused or taken by the same rules.
 * Return: 0, or -1 with @err; free with externals_free() in either case
 */
int externals_find(struct outgoing *out, struct externals *externals, struct error *err);
void externals_free(struct externals *externals);

#endif
