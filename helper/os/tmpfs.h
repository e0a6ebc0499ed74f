/* SPDX-License-Identifier: GPL-2.0 */
/* A tmpfs like another one, which files come into before it is mounted anywhere; and a look at one that is mounted. */
#ifndef MIGRATE_OS_TMPFS_H
#define MIGRATE_OS_TMPFS_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/error.h"

/**
 * tmpfs_can_be_made() - tmpfs_make() knows all of the options
 * @options: of the file system, and @flags: of its mount, as in /proc/PID/mountinfo
 * One that is read-only is not made: nothing could come into it.
 */
bool tmpfs_can_be_made(const char *options, const char *flags);
/**
 * tmpfs_make() - a new one. It has no limits but the kernel's own, and no huge pages, until tmpfs_limit()
 * Return: a descriptor of its root, on a mount that is nowhere; -1 with errno
 */
int tmpfs_make(const char *options, const char *flags);
/** tmpfs_limit() - set the limits in @options, and whether it has huge pages; -1 with errno: what is in it is more */
int tmpfs_limit(int fd, const char *options);

/**
 * tmpfs_open() - all files of a tmpfs in the mount namespace of process @pid, also those that mounts cover
 * @target: its mount point there; @dev: its device
 * Return: a descriptor of its root, on a read-only mount that changes no time of access and is nowhere; -1 with errno
 */
int tmpfs_open(pid_t pid, const char *target, dev_t dev);

#endif
