/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A directory that this program made, and therefore may remove. It is held by descriptors: a name
 * may lead to another one by the time it is removed.
 */
#ifndef MIGRATE_OS_OWNED_DIR_H
#define MIGRATE_OS_OWNED_DIR_H

#include "base/error.h"

/**
 * struct owned_dir - all bytes 0 or @fd -1: there is none
 * @path: for messages, and for programs that want a name
 * @name: last component of @path; it is in @base_fd
 */
struct owned_dir {
	char path[320];
	char name[64];
	int base_fd, fd;
};

/**
 * owned_dir_make() - make BASE/NAME, mode 0700; BASE is made too, and must be safe (safe_dir.h)
 *
 * What is there already is another's: -1 with CODE_NOT_READY, and nothing is owned.
 */
int owned_dir_make(struct owned_dir *dir, const char *base, const char *name, struct error *err);

/** owned_dir_remove() - with all that is in it on the same file system; links are not followed */
void owned_dir_remove(const struct owned_dir *dir);
void owned_dir_close(struct owned_dir *dir);

#endif
