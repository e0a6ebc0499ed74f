/* SPDX-License-Identifier: GPL-2.0 */
/* Whose the threads are that images tell of, and the files that they carry. */
#ifndef MIGRATE_CRIU_CREDS_H
#define MIGRATE_CRIU_CREDS_H

#include <stdbool.h>
#include <stdint.h>
#include "criu/criu.h"

#define CRIU_CREDS_LIMITS	32
#define CRIU_CREDS_IDS	4	/* real, effective, saved, and of file systems */

/**
 * struct criu_creds - of thread @tid; ids are those of its user namespace
 * @capable: it has capabilities, or can give itself some
 * @bounds: the capabilities that a program which gives rights can give it; @no_new_privs: none can
 * @labelled: a security module has a word in it
 * @policy, @nice: as of sched_setattr()
 * @has_loginuid, @loginuid, @oom_score_adj, @limits: of the process, with its first thread alone
 * @limits: hard ones, @nr_limits of them, by the numbers of setrlimit()
 */
struct criu_creds {
	pid_t tid;
	uint32_t uids[CRIU_CREDS_IDS], gids[CRIU_CREDS_IDS];
	const uint32_t *groups;
	size_t nr_groups;
	bool capable, no_new_privs, labelled, has_loginuid;
	uint64_t bounds, limits[CRIU_CREDS_LIMITS];
	uint32_t secbits, policy, loginuid;
	int32_t nice, oom_score_adj;
	size_t nr_limits;
};

typedef int (*criu_creds_fn)(void *ctx, const struct criu_creds *creds, struct error *err);

/** criu_creds_each() - call @fn with each thread of @task, also with one whose image says that it is dead: CRIU restores it; -1 when @fn ends it, or an image does not say */
int criu_creds_each(int images_dir_fd, const struct criu_task *task, criu_creds_fn fn, void *ctx, struct error *err);

/** typedef criu_ghost_fn - a file without a name, which the images carry, and CRIU makes anew */
typedef int (*criu_ghost_fn)(void *ctx, uint32_t uid, uint32_t gid, uint32_t mode, struct error *err);
int criu_ghosts_each(int images_dir_fd, criu_ghost_fn fn, void *ctx, struct error *err);

#endif
