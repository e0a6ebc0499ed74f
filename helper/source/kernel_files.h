/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files of procfs and sysfs that the program has open. The kernel of the destination has others: those of another
 * process, or of a device, may not be there, and CRIU's restore fails. Most are open for a moment only, as for one
 * read(), so the freeze waits for their end (source/unsettled.h). One that the program keeps open is no matter
 * of a moment: the destination looks whether it has the file.
 */
#ifndef MIGRATE_SOURCE_KERNEL_FILES_H
#define MIGRATE_SOURCE_KERNEL_FILES_H

#include "source/tree.h"

/** struct kernel_places - where procfs and sysfs are mounted for the root, beside /proc and /sys */
struct kernel_places {
	char **list;
	size_t nr;
};

/** struct kernel_files - @nr of them, in the order of processes and descriptors. Zeroed is empty */
struct kernel_files {
	struct kernel_places places;
	struct kernel_file {
		pid_t pid;
		int fd;
		char *path;
	} *list;
	size_t nr;
};

/**
 * kernel_files_learn() - the program runs: which files does it keep open?
 * @files: empty; filled with those that are open in each of several looks
 *
 * A program that has none is looked at once.
 */
int kernel_files_learn(struct kernel_files *files, const struct tree *tree, struct error *err);
/**
 * kernel_files_find_new() - the program stands: *@pid has one that is not in @known; 0: there is none
 */
int kernel_files_find_new(const struct kernel_files *known, const struct tree *tree, pid_t *pid,
			  struct error *err);
void kernel_files_free(struct kernel_files *files);

#endif
