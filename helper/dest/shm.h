/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared memory objects of the program. The mirror of such an object is a memfd with the name of the
 * program's own, and becomes the program's memory (criu/adopt.h): between the socket and the restored
 * program a page is not copied again, and nothing is left to do while the program stands.
 *
 * A file of /dev/shm has another name until COMMIT, so that no other program takes it for what it will
 * be. The keeper holds it too, and removes it when nothing is started.
 *
 * Segments of System V memory cannot be adopted: CRIU copies them out of images that are made of the mirror.
 *
 * All pages are there at FINAL, or the migration fails: CRIU restores shared memory without userfaultfd,
 * so that a page cannot come later.
 */
#ifndef MIGRATE_DEST_SHM_H
#define MIGRATE_DEST_SHM_H

#include "criu/adopt.h"
#include "dest/keeper.h"
#include "dest/objects.h"
#include "dest/verify.h"
#include "wire/control.h"

/**
 * struct shm_image - one object
 * @mm: its mirror
 * @shmid: by which number the images name it; of no meaning for a file, which they name by its path
 * @fd: of an object that is compared still, when the mirror is closed; -1: none. It has @pages pages
 * @adopted: the images name it
 * @attributes: of a file, as the source has told them; of others, as in the images
 */
struct shm_image {
	struct mm *mm;
	uint32_t shmid;
	bool adopted;
	int fd;
	uint64_t pages;
	struct criu_memfd attributes;
};

/** struct shm - all of them; of the main thread. @compares: shm_verify() will be called */
struct shm {
	bool compares;
	struct objects *objects;
	struct keeper *keeper;
	struct shm_image *images;
	size_t nr;
};

/** shm_take() - what RestoreGo says: of each object that is not gone. All lists have come by then */
int shm_take(struct shm *shm, const Migrate__RestoreGo *go, struct error *err);

/**
 * shm_adopt() - before the restore: size, mode, and owner of memory without a name, as in the images, which then
 *	name the mirrors
 * @pids: of the tasks, as in the images
 */
int shm_adopt(struct shm *shm, int images_dir_fd, const pid_t *pids, size_t nr_pids,
	      struct error *err);

/** shm_give() - after the restore: seals; and this helper and the keeper let go of memory without a name */
int shm_give(struct shm *shm, struct error *err);

/** shm_verify() - behind shm_give(): compare with the digests of the source */
int shm_verify(struct shm *shm, const struct verify *verify, uint64_t *pages, struct error *err);

/** shm_check_names() - before Ready: -1 when another file has the name of one of them by now */
int shm_check_names(const struct shm *shm, struct error *err);
/** shm_name() - the program is to be started: its files of /dev/shm get their names, and their owners */
int shm_name(struct shm *shm, struct error *err);
/** shm_end() - it was started: let go of the files too. Before, the keeper would remove them */
void shm_end(struct shm *shm);

#endif
