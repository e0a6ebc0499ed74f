/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tmpfs of a program with a mount namespace of its own: made in SETUP, and mounted nowhere until CRIU is about to restore.
 * Large files come into it as objects (mirror_open_tmpfs()); what is left comes in an image beside CRIU's.
 */
#ifndef MIGRATE_DEST_TMPFS_H
#define MIGRATE_DEST_TMPFS_H

#include "dest/mounts.h"
#include "dest/objects.h"

/**
 * tmpfs_take_images() - all files get their names, owners and times, and each tmpfs its limits
 * @images_fd: directory of the images
 * All objects are complete (shm_adopt()), and each of them has a name then.
 */
int tmpfs_take_images(const struct mounts *mounts, struct objects *objects, int images_fd, struct budget *budget,
		      struct error *err);

/**
 * tmpfs_take_image() - one of them; the fuzzer calls it too
 * @in: the image
 * @root_fd: the root of tmpfs number @nr, which is empty
 */
int tmpfs_take_image(int in, int root_fd, size_t nr, struct objects *objects, struct budget *budget, struct error *err);

#endif
