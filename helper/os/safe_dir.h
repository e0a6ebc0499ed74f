/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_OS_SAFE_DIR_H
#define MIGRATE_OS_SAFE_DIR_H

#include <stdbool.h>
#include "base/error.h"

/**
 * safe_dir_open() - a directory that no other user can exchange for another one
 * @path: absolute
 * @make: directories that are missing are made, with mode 0700
 *
 * Each directory on the way, and each symbolic link, must belong to root or to this user; a
 * directory that others can write to must be sticky.
 * Return: a descriptor, close-on-exec; or -1, CODE_NOT_READY, the message names the component
 */
int safe_dir_open(const char *path, bool make, struct error *err);

#endif
