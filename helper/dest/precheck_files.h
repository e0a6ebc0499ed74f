/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_PRECHECK_FILES_H
#define MIGRATE_DEST_PRECHECK_FILES_H

#include <sys/stat.h>
#include "dest/precheck_list.h"
#include "wire/control.h"

#define PRECHECK_MAX_FILES	16384	/* most files that Setup may name */

/** precheck_files() - refuse when a file or directory is missing, or of another kind or mode */
void precheck_files(const Migrate__Setup *setup, struct refusals *refusals);

/* Replaced by unit tests: the look at a file, and the time-out of all looks. */
extern int (*precheck_stat)(const char *path, struct stat *st);
extern int precheck_files_ms;

#endif
