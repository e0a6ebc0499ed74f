/* SPDX-License-Identifier: GPL-2.0 */
/* The directories of all migrations on this machine, for verbs that look at them from outside. */
#ifndef MIGRATE_OS_MIGRATION_DIRS_H
#define MIGRATE_OS_MIGRATION_DIRS_H

#define MIGRATION_DIR_SOURCE	"-source"
#define MIGRATION_DIR_DEST	"-dest"

/** typedef migration_dir_fn - called for each directory; other than 0 ends the walk */
typedef int (*migration_dir_fn)(void *ctx, const char *dir);

/**
 * migration_dirs_each() - call @fn with the directories whose names end with @suffix
 * @base: directory of migrations; NULL: the default directories
 * @suffix: MIGRATION_DIR_SOURCE or MIGRATION_DIR_DEST
 *
 * A directory that another user can write to is passed over: callers act as root on what they find.
 * Return: what @fn returned, or 0
 */
int migration_dirs_each(const char *base, const char *suffix, migration_dir_fn fn, void *ctx);

#endif
