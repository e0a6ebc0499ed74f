/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A directory of images, to which one page server writes.
 *
 * The images of a connection appear under their names when all of them are whole, and on the disk. Until then
 * their names have PART_SUFFIX. A directory has one snapshot: an object that a connection of this server has
 * written, or is writing, is refused to all others.
 */
#ifndef MIGRATE_SERVICES_IMAGE_DIR_H
#define MIGRATE_SERVICES_IMAGE_DIR_H

#include <pthread.h>
#include <stdbool.h>
#include "services/image_writer.h"

/**
 * struct image_dir - the directory
 * @fd: locked, so that no other page server takes the directory
 * @no_fsync: do not wait for the disk
 * @lock: of all that follows
 * @targets: tree of the objects that are taken (tsearch)
 */
struct image_dir {
	int fd;
	bool no_fsync;
	pthread_mutex_t lock;
	void *targets;
	size_t nr_targets;
	uint32_t next_id;
};

/**
 * image_dir_open() - open and lock the directory, and remove what a killed server left
 * @parent: path of the parent's directory, relative to @path, for the link `parent`; or NULL
 */
int image_dir_open(struct image_dir *dir, const char *path, const char *parent,
		   struct error *err);
void image_dir_close(struct image_dir *dir);

/**
 * image_dir_parent() - open the directory of the parent
 * @fd: -1 when there is no parent
 */
int image_dir_parent(const struct image_dir *dir, int *fd, struct error *err);

/** image_dir_take() - reserve @target, and a number for its pages, for one connection */
int image_dir_take(struct image_dir *dir, uint64_t target, struct image_made *made,
		   struct error *err);

/** image_dir_publish() - give @nr written images their names: all, or with @err none */
int image_dir_publish(struct image_dir *dir, const struct image_made *made, size_t nr,
		      struct error *err);

/** image_dir_drop() - remove the unpublished images, and let others write these objects */
void image_dir_drop(struct image_dir *dir, const struct image_made *made, size_t nr);

#endif
