/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared memory objects of the program. The mirror of such an object is a memfd with the name of the
 * program's own, and becomes the program's memory (criu/adopt.h): between the socket and the restored
 * program a page is not copied again, and nothing is left to do while the program stands.
 *
 * All pages are there at FINAL, or the migration fails: CRIU restores shared memory without userfaultfd,
 * so that a page cannot come later.
 */
#ifndef MIGRATE_DEST_SHM_H
#define MIGRATE_DEST_SHM_H

#include "criu/adopt.h"
#include "dest/keeper.h"
#include "dest/objects.h"
#include "wire/control.h"

/** struct shm_image - one object: its mirror, by which number the images name it, its seals there */
struct shm_image {
	struct mm *mm;
	uint32_t shmid, seals;
};

/** struct shm - all of them; of the main thread */
struct shm {
	struct objects *objects;
	struct keeper *keeper;
	struct shm_image *images;
	size_t nr;
};

/** shm_take() - what RestoreGo says: of each object that is not gone. All lists have come by then */
int shm_take(struct shm *shm, const Migrate__RestoreGo *go, struct error *err);

/**
 * shm_adopt() - before the restore: size, owner and mode as in the images, which then name the mirrors
 * @pids: of the tasks, as in the images
 */
int shm_adopt(struct shm *shm, int images_dir_fd, const pid_t *pids, size_t nr_pids,
	      struct error *err);

/** shm_give() - after the restore: seals; and this helper and the keeper let go of the memory */
int shm_give(struct shm *shm, struct error *err);

#endif
