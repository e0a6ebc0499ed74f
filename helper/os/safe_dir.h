/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_SAFE_DIR_H
#define MIGRATE_OS_SAFE_DIR_H

#include <stdbool.h>
#include <sys/stat.h>
#include "base/error.h"

/**
 * safe_dir_open() - open a directory that no other user can replace
 * @path: absolute
 * @make: make missing directories, with mode 0700
 *
 * Each directory on the way, and each symbolic link, must belong to root or to this user; a
 * directory that others can write to must be sticky.
 * Return: a descriptor, close-on-exec; or -1 with CODE_NOT_READY, which names the unsafe component
 */
int safe_dir_open(const char *path, bool make, struct error *err);

/** safe_dir_is_kept() - no other user can change this directory's names, or this symbolic link */
bool safe_dir_is_kept(const struct stat *st);

#endif
