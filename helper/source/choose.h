/* SPDX-License-Identifier: GPL-2.0 */
/* Which backend reads an address space, and what its limits make of the mode. */
#ifndef MIGRATE_SOURCE_CHOOSE_H
#define MIGRATE_SOURCE_CHOOSE_H

#include "source/hold.h"
#include "source/mm.h"
#include "source/options.h"

/** struct choice - mode and verify as the user asked, changed where the backend cannot do them */
struct choice {
	enum migrate_mode mode;
	bool verify;
};

/** mode_follows() - in this mode @backend looks for writes of the running program */
bool mode_follows(enum migrate_mode mode, const struct backend *backend);

/** choose_backend() - open a session on the root's @mm; a backend without a tracker changes the mode */
int choose_backend(struct choice *choice, struct hold *hold, const struct migrate_options *opts,
		   struct source_mm *mm, struct error *err);
/** choose_like() - open a session on @mm of another process, with the tracker of @root */
int choose_like(struct hold *hold, const struct migrate_options *opts, const struct backend *root,
		struct source_mm *mm, struct error *err);

#endif
