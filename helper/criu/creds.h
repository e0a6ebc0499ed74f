/* SPDX-License-Identifier: GPL-2.0 */
/* Whose the threads are that images tell of, and the files that they carry. */
#ifndef MIGRATE_CRIU_CREDS_H
#define MIGRATE_CRIU_CREDS_H

#include <stdbool.h>
#include <stdint.h>
#include "criu/criu.h"

#define CRIU_CREDS_IDS	4	/* real, effective, saved, and of file systems */

/**
 * struct criu_creds - of thread @tid; ids are those of its user namespace
 * @capable: it has capabilities, or can give itself some
 */
struct criu_creds {
	pid_t tid;
	uint32_t uids[CRIU_CREDS_IDS], gids[CRIU_CREDS_IDS];
	const uint32_t *groups;
	size_t nr_groups;
	bool capable;
};

typedef int (*criu_creds_fn)(void *ctx, const struct criu_creds *creds, struct error *err);

/** criu_creds_each() - call @fn with each thread of @task that lives; -1 when @fn ends it, or an image does not say */
int criu_creds_each(int images_dir_fd, const struct criu_task *task, criu_creds_fn fn, void *ctx, struct error *err);

/** typedef criu_ghost_fn - a file without a name, which the images carry, and CRIU makes anew */
typedef int (*criu_ghost_fn)(void *ctx, uint32_t uid, uint32_t gid, uint32_t mode, struct error *err);
int criu_ghosts_each(int images_dir_fd, criu_ghost_fn fn, void *ctx, struct error *err);

#endif
