/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a tree that stands may be in the middle of, what CRIU cannot dump, and what passes by itself when
 * the program runs on:
 *
 * - A parent in vfork() waits for a child that stands, and cannot be traced before the child goes on: CRIU
 *   would wait for it until its own time-out.
 * - A netlink socket has an answer of the kernel that the program has not read yet: CRIU's dump fails.
 * - A file of procfs or sysfs is open for a moment: the destination may lack it (source/kernel_files.h).
 */
#ifndef MIGRATE_SOURCE_UNSETTLED_H
#define MIGRATE_SOURCE_UNSETTLED_H

#include "source/kernel_files.h"

/**
 * struct unsettled - the first such thing that was found
 * @pid: a process that has it; 0: the tree can be dumped
 * @why: what it does, behind "process PID"
 * @may_go: the program can be dumped all the same
 */
struct unsettled {
	pid_t pid;
	const char *why;
	bool may_go;
};

/** unsettled_find() - look at @tree, which stands; -1 with @err */
int unsettled_find(const struct tree *tree, struct unsettled *found, struct error *err);
/** unsettled_find_file() - the same, for a file that @known, from when the program ran, does not have */
int unsettled_find_file(const struct tree *tree, const struct kernel_files *known, struct unsettled *found,
			struct error *err);

#endif
