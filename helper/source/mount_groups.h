/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Groups of mounts in which a mount that is made appears in all (shared), and mounts that follow such a group (slaves).
 * CRIU makes those anew that are in the program's namespace alone. A group that leaves the namespace would be another
 * one at the destination; but a mount of this machine's that follows the machine's group can follow that of the
 * destination.
 */
#ifndef MIGRATE_SOURCE_MOUNT_GROUPS_H
#define MIGRATE_SOURCE_MOUNT_GROUPS_H

#include "os/mount_list.h"
#include "source/refusals.h"

/** mount_groups_follows() - mount @nr of @list follows a group that is not in its namespace */
bool mount_groups_follows(const struct mount_list *list, size_t nr);

/**
 * mount_groups_refuse() - the mounts of @list, of process @pid, whose group leaves its namespace or that CRIU cannot make
 * @bound: of each of @list: the destination makes it of a mount of its own
 *
 * CRIU lets a mount follow the group of the mount of which it is made. Where several follow one group, it takes
 * any of theirs for all, which the kernel refuses where that one shows less than another: only one may.
 * Return: 0; -1 with @err: it cannot be told
 */
int mount_groups_refuse(const struct mount_list *list, const bool *bound, pid_t pid,
			struct refusals *refusals, struct error *err);

#endif
