/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A directory that this program made, and therefore may remove. The struct holds descriptors: by
 * the time of the removal the name may belong to another directory.
 */
#ifndef MIGRATE_OS_OWNED_DIR_H
#define MIGRATE_OS_OWNED_DIR_H

#include "base/error.h"

/**
 * struct owned_dir - an owned directory; all bytes 0, or @fd -1: none
 * @path: path for messages and for other programs
 * @name: last component of @path, in the directory @base_fd
 */
struct owned_dir {
	char path[320];
	char name[64];
	int base_fd, fd;
};

/**
 * owned_dir_make() - make BASE/NAME with mode 0700, and BASE, which must be safe (safe_dir.h)
 *
 * A directory that exists already belongs to another program: -1 with CODE_NOT_READY.
 */
int owned_dir_make(struct owned_dir *dir, const char *base, const char *name, struct error *err);

/** owned_dir_remove() - remove it and its content, but no other file system and no link's target */
void owned_dir_remove(const struct owned_dir *dir);
void owned_dir_close(struct owned_dir *dir);

#endif
