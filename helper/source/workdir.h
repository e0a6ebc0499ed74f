/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_SOURCE_WORKDIR_H
#define MIGRATE_SOURCE_WORKDIR_H

#include <limits.h>
#include "base/error.h"

#define WORKDIR_PARENT	"../parent"	/* from the images directory */

/**
 * struct workdir - the directory of one migration, in memory
 * @path: with images, work and parent below it; the keeper removes it
 */
struct workdir {
	char path[PATH_MAX - 64];
	int images_fd, work_fd, parent_fd;
};

/** workdir_plan() - choose @path; nothing is made yet. @base: NULL is the default */
int workdir_plan(struct workdir *dir, const char *base, const char *id, struct error *err);
int workdir_make(struct workdir *dir, struct error *err);
void workdir_close(struct workdir *dir);

#endif
