/* SPDX-License-Identifier: GPL-2.0 */
/* The files that must be at the destination as they are here, for Setup. */
#ifndef MIGRATE_SOURCE_SETUP_FILES_H
#define MIGRATE_SOURCE_SETUP_FILES_H

#include "base/error.h"
#include "os/proc_files.h"
#include "source/mounts.h"
#include "source/options.h"
#include "source/process.h"
#include "wire/control.h"

/** struct setup_files - sorted by path, each path once. Zeroed is empty */
struct setup_files {
	Migrate__MappedFile *files, **list;
	size_t nr, cap;
};

/**
 * setup_files_find() - what the program has mapped and open, its directories and its executable
 *
 * @mounts: of the program: the list has the paths that this helper has
 *
 * Deleted files are carried, and files of procfs and the like are the kernel's: neither is listed.
 * Return: 0, or -1 with @err; free with setup_files_free() in either case
 */
int setup_files_find(const struct migrate_options *opts, const struct source_mounts *mounts,
		     const struct source_process *process, const struct proc_files *open_files, struct setup_files *all,
		     struct error *err);
/** setup_files_take() - add those of @from to @all; 0, or -1 with @err. @from is empty in either case */
int setup_files_take(struct setup_files *all, struct setup_files *from, struct error *err);
void setup_files_free(struct setup_files *all);

#endif
