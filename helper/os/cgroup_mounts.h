/* SPDX-License-Identifier: GPL-2.0 */
/* The mount points of the control group hierarchies, from /proc/self/mountinfo. */
#ifndef MIGRATE_OS_CGROUP_MOUNTS_H
#define MIGRATE_OS_CGROUP_MOUNTS_H

#include <stdbool.h>

#define CGROUP_MOUNTINFO	"/proc/self/mountinfo"

/**
 * typedef cgroup_mount_fn - one mount of a hierarchy
 * @point: mount point
 * @root: path of the group that the mount point shows
 * Return: true ends the walk
 */
typedef bool (*cgroup_mount_fn)(void *ctx, const char *point, const char *root);

/**
 * cgroup_mounts_walk() - call @fn for each mount of a hierarchy
 * @mountinfo: CGROUP_MOUNTINFO, or a file like it
 * @controllers: one or all controllers of a v1 hierarchy, as in /proc/PID/cgroup; "": cgroup v2
 * Return: true when @fn ended the walk
 */
bool cgroup_mounts_walk(const char *mountinfo, const char *controllers, cgroup_mount_fn fn,
			void *ctx);

/** cgroup_list_has() - true when the comma-separated @list has @word */
bool cgroup_list_has(const char *list, const char *word);

#endif
