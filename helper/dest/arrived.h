/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of a program has come so far: a file in the migration's directory, written anew after each round, for
 * `status`. It is a help for people: a migration does not depend on it.
 */
#ifndef MIGRATE_DEST_ARRIVED_H
#define MIGRATE_DEST_ARRIVED_H

#include <jansson.h>
#include "dest/objects.h"
#include "os/owned_dir.h"

/** struct arrived - @fd: of the present file, with a shared lock as long as this process lives; -1: none yet */
struct arrived {
	int fd;
};

/**
 * arrived_write() - put the file into @dir; readers never see half of it
 * @round: that has just ended
 *
 * A file that cannot be written is left out, and the one of the round before stays.
 */
void arrived_write(struct arrived *arrived, const struct owned_dir *dir, uint32_t round, struct objects *objects);
void arrived_close(struct arrived *arrived);

/**
 * typedef arrived_fn - called for each migration that arrives here; other than 0 ends the walk
 * @arrived: {"round": n, "objects": [{"id": n, "pid": n, "pages": n}, …]}; "pid" is the one at the source, in the
 *	program's PID namespace, and shared memory has none
 */
typedef int (*arrived_fn)(void *ctx, const char *dir, const json_t *arrived);

/** arrived_each() - @base: directory of migrations; NULL: the default directories. Files of dead helpers do not count */
int arrived_each(const char *base, arrived_fn fn, void *ctx);

#endif
