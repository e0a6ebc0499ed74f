/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The directory of one migration, and CRIU's images, which come over control.
 */
#ifndef MIGRATE_DEST_IMAGES_H
#define MIGRATE_DEST_IMAGES_H

#include <stdint.h>
#include <sys/types.h>
#include "base/error.h"
#include "dest/budget.h"
#include "os/owned_dir.h"
#include "wire/conn.h"
#include "wire/control.h"

/**
 * struct images - BASE/ID-dest with `images` and `work` inside
 * @id: id of the migration as text
 * @file: the file that is being written, or -1
 * @budget: counts the written bytes; may be NULL
 * @files: number of complete files
 * @bytes: bytes received so far
 */
struct images {
	char id[2 * CONN_ID_BYTES + 1];
	struct owned_dir dir;
	int images_fd, work_fd;
	int file;
	char name[64];
	uint64_t offset;
	uint32_t files;
	uint64_t bytes;
	struct budget *budget;
};

/** images_check() - check that only root can replace @base, which need not exist yet */
int images_check(const char *base, struct error *err);
/**
 * images_make() - make the directory of migration @id
 *
 * Called before the keeper starts: a directory that exists already belongs to another migration.
 */
int images_make(struct images *images, const char *base, const uint8_t *id, struct error *err);
/** images_take() - write the next piece of a file */
int images_take(struct images *images, const Migrate__ImageFile *piece, struct error *err);
/** images_check_complete() - -1 with CODE_PEER unless @files complete files have come */
int images_check_complete(const struct images *images, uint32_t files, struct error *err);
/**
 * images_lend() - let the processes of group @gid read the images, and find the directory of the migration
 *
 * CRIU's part in the tasks of a user namespace opens images as root of that namespace, who is nobody to this machine.
 */
int images_lend(const struct images *images, gid_t gid, struct error *err);
/** images_close() - close descriptors; the keeper removes the directory */
void images_close(struct images *images);

#endif
