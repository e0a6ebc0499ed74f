/* SPDX-License-Identifier: GPL-2.0 */
/* How long the program will stand whatever of its memory is dirty, said before anything is sent. */
#ifndef MIGRATE_SOURCE_OUTLOOK_H
#define MIGRATE_SOURCE_OUTLOOK_H

#include "criu/criu.h"
#include "session/cost.h"
#include "session/frozen_time.h"
#include "source/options.h"
#include "source/shm.h"
#include "source/tree.h"

/**
 * struct outlook - of one migration
 * @model_ns: what the model says of this machine's part
 * @here_ns: the same, with what earlier migrations say: dump and images
 * @there_ns: the destination's: the restore
 * @compares: all memory is compared while the program stands; the caller's to fill
 * @own_pages: private memory that there is
 * @compare_ns: that the comparison takes, at both ends at a time; no part of what earlier migrations say
 * @criu_bytes: that CRIU takes for its tables while it dumps
 */
struct outlook {
	struct shape shape;
	bool compares;
	uint64_t own_pages, model_ns, here_ns, there_ns, compare_ns, criu_bytes;
};

/**
 * outlook_make() - look at all processes of the program; @there_ns is the caller's to fill
 * @tree: each process with its mappings
 * @shms: its shared memory, behind shms_look()
 * @drains: CRIU takes all memory into pipes, since it has no parent
 *
 * A process that ends meanwhile is no failure: see tree_forgive().
 */
int outlook_make(struct outlook *outlook, const struct tree *tree, const struct source_shms *shms,
		 const struct criu_version *criu, bool drains, struct error *err);

static inline uint64_t outlook_ns(const struct outlook *outlook)
{
	return outlook->here_ns + outlook->there_ns + outlook->compare_ns;
}

/**
 * outlook_check() - say it; -1 when the user has said that it must not be so long, or when it cannot end
 * well
 */
int outlook_check(const struct outlook *outlook, const struct migrate_options *opts,
		  struct error *err);

/** outlook_keep() - what it really took, for the next migration */
void outlook_keep(const struct outlook *outlook, const char *comm, const struct frozen_time *frozen);

#endif
