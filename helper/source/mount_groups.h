/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Groups of mounts in which a mount that is made appears in all (shared), and mounts that follow such a group (slaves).
 * CRIU makes those anew that are in the program's namespace alone. A group that leaves the namespace would be another
 * one at the destination.
 */
#ifndef MIGRATE_SOURCE_MOUNT_GROUPS_H
#define MIGRATE_SOURCE_MOUNT_GROUPS_H

#include "os/mount_list.h"
#include "source/refusals.h"

/**
 * mount_groups_refuse() - the mounts of @list, of process @pid, whose group leaves its namespace or that CRIU cannot make
 * Return: 0; -1 with @err: it cannot be told
 */
int mount_groups_refuse(const struct mount_list *list, pid_t pid, struct refusals *refusals,
			struct error *err);

#endif
