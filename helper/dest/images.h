/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The directory of one migration, and CRIU's images as they come over control.
 */
#ifndef MIGRATE_DEST_IMAGES_H
#define MIGRATE_DEST_IMAGES_H

#include <stdint.h>
#include "base/error.h"
#include "dest/budget.h"
#include "os/owned_dir.h"
#include "wire/conn.h"
#include "wire/control.h"

/**
 * struct images - BASE/ID-dest with `images` and `work` inside
 * @id: of the migration, as text
 * @file: the one that is being written, or -1
 * @budget: pays for what is written; may be NULL
 * @files, @bytes: complete files, and all bytes so far
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

/** images_check() - @base is a directory that only root can exchange, or can be made one */
int images_check(const char *base, struct error *err);
/**
 * images_make() - the directory of migration @id
 *
 * Before the keeper is started: a directory that exists already is another migration's, and stays.
 */
int images_make(struct images *images, const char *base, const uint8_t *id, struct error *err);
/** images_take() - the next piece of a file */
int images_take(struct images *images, const Migrate__ImageFile *piece, struct error *err);
/** images_check_complete() - -1 with CODE_PEER unless @files came, and all of each */
int images_check_complete(const struct images *images, uint32_t files, struct error *err);
/** images_close() - closes descriptors; the directory is removed by the keeper */
void images_close(struct images *images);

#endif
