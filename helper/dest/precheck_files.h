/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_DEST_PRECHECK_FILES_H
#define MIGRATE_DEST_PRECHECK_FILES_H

#include <sys/stat.h>
#include "dest/precheck_list.h"
#include "wire/control.h"

#define PRECHECK_MAX_FILES	16384	/* most files that Setup may name */

/** precheck_files() - files and directories that the program needs, of the same kind and mode here */
void precheck_files(const Migrate__Setup *setup, struct refusals *refusals);

/* What unit tests put something in place of: the look at a file, and how long all of them may take. */
extern int (*precheck_stat)(const char *path, struct stat *st);
extern int precheck_files_ms;

#endif
