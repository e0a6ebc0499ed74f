/* SPDX-License-Identifier: GPL-2.0 */
/* All that is in a directory, also what is in directories in it. */
#ifndef MIGRATE_OS_DIR_WALK_H
#define MIGRATE_OS_DIR_WALK_H

#include <sys/stat.h>

#define DIR_WALK_DEPTH	256	/* most directories in one another: each takes a descriptor */

/**
 * struct dir_entry - one name
 * @dir_fd: its directory; @name: in it, "." for the directory where the walk began
 * @depth: 0 for that one, 1 for what is in it
 */
struct dir_entry {
	int dir_fd;
	const char *name;
	struct stat st;
	unsigned int depth;
};

/**
 * dir_walk() - call @fn for directory @root_fd and each name below: for a directory before what is in it
 * @fn: returns 0, or -1, which ends the walk
 *
 * A name that vanishes meanwhile is left out.
 * Return: 0; -1 with what @fn left behind, or with errno; ELOOP: too deep
 */
int dir_walk(int root_fd, int (*fn)(void *ctx, const struct dir_entry *entry), void *ctx);

#endif
