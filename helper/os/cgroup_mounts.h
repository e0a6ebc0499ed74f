/* SPDX-License-Identifier: GPL-2.0 */
/* Where the hierarchies of control groups are mounted. */
#ifndef MIGRATE_OS_CGROUP_MOUNTS_H
#define MIGRATE_OS_CGROUP_MOUNTS_H

#include <stdbool.h>

#define CGROUP_MOUNTINFO	"/proc/self/mountinfo"

/**
 * typedef cgroup_mount_fn - one mount of a hierarchy
 * @point: the directory where the hierarchy is mounted
 * @root: path of the group that this directory shows
 * Return: true ends the walk
 */
typedef bool (*cgroup_mount_fn)(void *ctx, const char *point, const char *root);

/**
 * cgroup_mounts_walk() - call @fn for each mount of a hierarchy
 * @mountinfo: CGROUP_MOUNTINFO, or a file like it
 * @controllers: of a hierarchy of cgroup v1, as /proc/PID/cgroup has them, or one of them; "":
 *	cgroup v2
 * Return: true when @fn ended the walk
 */
bool cgroup_mounts_walk(const char *mountinfo, const char *controllers, cgroup_mount_fn fn,
			void *ctx);

/** cgroup_list_has() - @word is in @list, whose words have commas between them */
bool cgroup_list_has(const char *list, const char *word);

#endif
