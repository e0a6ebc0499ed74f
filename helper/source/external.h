/* SPDX-License-Identifier: GPL-2.0 */
/* The sockets and terminals that CRIU leaves out of its images, by its option `external`. */
#ifndef MIGRATE_SOURCE_EXTERNAL_H
#define MIGRATE_SOURCE_EXTERNAL_H

#include "base/error.h"
#include "source/refuse.h"

/**
 * struct externals - names for struct criu_dump_opts. Zeroed is empty
 * @names: as "unix[INO]" or "tty[RDEV:DEV]"
 * @leaves_session: another process leads the program's session, or a terminal is foreign
 */
struct externals {
	char **names;
	size_t nr;
	bool leaves_session;
};

/**
 * externals_find() - the sockets, terminals and renamed files that the processes have now
 *
 * Those that were opened since SETUP are refused or taken by the same rules: see refuse_attached().
 * Return: 0, or -1 with @err; free with externals_free() in either case
 */
int externals_find(const struct inspection *terms, const struct tree *tree,
		   struct externals *externals, struct error *err);
void externals_free(struct externals *externals);

#endif
