/* SPDX-License-Identifier: GPL-2.0 */
/* The mounts of a mount namespace, as one process sees them. */
#ifndef MIGRATE_OS_MOUNT_LIST_H
#define MIGRATE_OS_MOUNT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * struct mount_entry - one mount
 * @id: and @parent, the @id of the mount that the mount point is in, as the kernel counts them
 * @root: the directory, or file, of its file system that is mounted
 * @shared: number of its peer group: a mount below one of the group appears below all of them; 0: none
 * @master: number of the peer group whose mounts it receives; 0: none
 * @flags: of the mount, "rw,nosuid"; @options: of the file system, "rw,size=64k"
 */
struct mount_entry {
	dev_t dev;
	int id, parent;
	char *root, *target, *type, *flags, *options;
	int shared, master;
};

/** struct mount_list - in the order of /proc/PID/mountinfo: later mounts come later */
struct mount_list {
	struct mount_entry *mounts;
	size_t nr;
};

/** mount_list_read() - @file: as /proc/PID/mountinfo. Return: 0, or -1 with @err; free it in either case */
int mount_list_read(struct mount_list *list, const char *file, struct error *err);
void mount_list_free(struct mount_list *list);
/** mount_list_same() - both have the same mounts in the same places and groups */
bool mount_list_same(const struct mount_list *a, const struct mount_list *b);

/** mount_list_root() - the place in the list of the mount that paths begin in; -1: there is none */
ssize_t mount_list_root(const struct mount_list *list);

/**
 * mount_list_find() - the mount that the end of @path is on
 * @path: absolute, without links
 * @rest: set to what follows its mount point in @path: "" or "/x"
 * Return: its place in the list; -1: there is no root
 */
ssize_t mount_list_find(const struct mount_list *list, const char *path, const char **rest);

/** path_below() - what follows directory @dir in @path: "" or "/x"; NULL: it is not below */
const char *path_below(const char *path, const char *dir);

#endif
