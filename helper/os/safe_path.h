/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_SAFE_PATH_H
#define MIGRATE_OS_SAFE_PATH_H

/**
 * safe_path_open() - open a path, with O_PATH, whose symbolic links no other user has made
 * @root: absolute; the links of @path, which is below @root, are resolved as in a process with this root
 * @path: absolute, as this process sees it
 *
 * A link is followed when it belongs to root or to this user, and each directory from "/" to the link is one that
 * safe_dir_open() takes: /bin -> usr/bin, /var/run -> /run. Links of procfs are never followed.
 * Return: a descriptor, close-on-exec; or -1 with errno, ELOOP for a link that is not followed
 */
int safe_path_open(const char *root, const char *path);

#endif
