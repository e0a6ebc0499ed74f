/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mount namespace that a program has of its own. Each of its mounts is one of three: a mount that this helper
 * has too, which the destination must have under the same path; a mount of the program's own, which CRIU's images
 * carry; one that the user hands on to CRIU. Any other mount is refused in SETUP.
 */
#ifndef MIGRATE_SOURCE_MOUNTS_H
#define MIGRATE_SOURCE_MOUNTS_H

#include <limits.h>
#include "criu/config.h"
#include "os/mount_list.h"
#include "source/refusals.h"

#define SOURCE_MOUNT_NAME	24

/**
 * struct source_mounts - zeroed: the program is in this helper's namespace
 * @own: it has one of its own
 * @list: its mounts
 * @here: of each of @list, the path by which this helper sees it; NULL: it does not
 * @tmpfs: of each of @list, the root of a tmpfs whose files are copied while the program runs (source/tmpfs.h), a
 *	descriptor; -1: it is no such. NULL: none is
 */
struct source_mounts {
	bool own;
	struct mount_list list;
	char **here;
	int *tmpfs;
};

/**
 * source_mounts_find() - the mounts of process @pid, and what cannot be carried
 * @config: of --criu-config
 * Return: 0, or -1 with @err; source_mounts_free() in either case
 */
int source_mounts_find(struct source_mounts *mounts, pid_t pid, const struct criu_config *config,
		       struct error *err);
/** source_mounts_check() - -1 with @err when the mounts of @pid have changed since */
int source_mounts_check(const struct source_mounts *mounts, pid_t pid, struct error *err);
void source_mounts_free(struct source_mounts *mounts);

/**
 * source_mounts_here() - where this helper, and the destination, have the file of a path of the program's
 * @mounts: or NULL, as if zeroed
 * @path: as /proc shows it
 * Return: false: on a mount that is not here; CRIU's images carry it, or the user hands it on
 */
bool source_mounts_here(const struct source_mounts *mounts, const char *path, char here[PATH_MAX]);

/**
 * source_mounts_tmpfs_bytes() - of the files of tmpfs of its own, which CRIU's images carry
 * @pid: a process of the program
 * One that other mounts cover counts nothing.
 */
uint64_t source_mounts_tmpfs_bytes(const struct source_mounts *mounts, const struct criu_config *config,
				   pid_t pid);

/** source_mounts_is_own_tmpfs() - mount @nr is the whole of a tmpfs of the program's own, which @config does not hand on */
bool source_mounts_is_own_tmpfs(const struct source_mounts *mounts, const struct criu_config *config, size_t nr);
/** source_mounts_is_copied() - mount @nr is in @mounts->tmpfs */
bool source_mounts_is_copied(const struct source_mounts *mounts, size_t nr);

/** source_mounts_root() - the path by which this helper sees the root of the program's namespace; or NULL */
const char *source_mounts_root(const struct source_mounts *mounts);

/** source_mounts_key() - the name of mount @nr for CRIU, at both ends */
void source_mounts_key(size_t nr, char name[SOURCE_MOUNT_NAME]);
/** source_mounts_name() - for CRIU's option external, "mnt[TARGET]:mh7"; from malloc(); NULL: no memory */
char *source_mounts_name(const struct source_mounts *mounts, size_t nr);
/**
 * source_mounts_are_stacked() - one of this helper's is under one of the program's own
 *
 * CRIU has to find it (external mnt[]): its names are mount points. It does not find files that are mounted.
 */
bool source_mounts_are_stacked(const struct source_mounts *mounts);
/** source_mounts_follows() - what is mounted later on that of the destination is to come on mount @nr; of the root too */
bool source_mounts_follows(const struct source_mounts *mounts, size_t nr);
/** source_mounts_is_outside() - mount @nr is one that source_mounts_name() names */
bool source_mounts_is_outside(const struct source_mounts *mounts, size_t nr);

#endif
