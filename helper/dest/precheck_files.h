/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_PRECHECK_FILES_H
#define MIGRATE_DEST_PRECHECK_FILES_H

#include "dest/precheck_list.h"
#include "wire/control.h"

#define PRECHECK_MAX_FILES	16384	/* most files that Setup may name */

/**
 * precheck_files() - refuse when a file or directory is missing, of another kind or mode, or behind a symbolic link
 *
 * CRIU opens these paths as root, and follows links: a user of this machine would choose the file. Links that
 * safe_path_open() follows are allowed.
 */
void precheck_files(const Migrate__Setup *setup, struct refusals *refusals);

/* Replaced by unit tests: the look at a file, and the time-out of all looks. */
extern int (*precheck_open)(const char *root, const char *path);
extern int precheck_files_ms;

#endif
