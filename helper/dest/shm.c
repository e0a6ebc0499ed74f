// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dest/shm.h"

static struct shm_image *find(const struct shm *shm, uint32_t shmid)
{
	for (size_t i = 0; i < shm->nr; i++)
		if (shm->images[i].shmid == shmid)
			return &shm->images[i];
	return NULL;
}

static int take_one(struct shm *shm, const Migrate__SharedMemory *said, struct error *err)
{
	struct mm *mm = objects_mm(shm->objects, said->object);

	if (!mm || !mm->shm || mm_is_gone(mm))
		return error_set(err, CODE_PEER, NULL,
				 "the source told of shared memory %u, which it did not announce",
				 said->object);
	for (size_t i = 0; i < shm->nr; i++)
		if (shm->images[i].mm == mm || shm->images[i].shmid == said->shmid)
			return error_set(err, CODE_PEER, NULL,
					 "the source told of shared memory %u twice", said->object);
	shm->images[shm->nr++] = (struct shm_image){ .mm = mm, .shmid = said->shmid };
	return 0;
}

int shm_take(struct shm *shm, const Migrate__RestoreGo *go, struct error *err)
{
	size_t announced = 0;
	struct mm *mm = NULL;

	while ((mm = objects_next(shm->objects, mm)))
		announced += mm->shm;
	if (go->n_shared != announced)
		return error_set(err, CODE_PEER, NULL,
				 "the source told of %zu shared memory objects, and announced %zu",
				 go->n_shared, announced);
	free(shm->images);
	shm->nr = 0;
	shm->images = calloc(announced + 1, sizeof(*shm->images));
	if (!shm->images)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for shared memory");
	for (size_t i = 0; i < go->n_shared; i++)
		if (take_one(shm, go->shared[i], err))
			return -1;
	return 0;
}

/* Lock held. The source has sent each page, and the mirror has nothing that the source has not. */
static int check_complete(const struct mm *mm, const struct criu_memfd *memfd, struct error *err)
{
	struct run run;

	if (!mm->final || mm->populated.nr != mm->mirror.have.nr)
		return error_set(err, CODE_PEER, NULL, "shared memory %u lacks %lu pages", mm->id,
				 mm->populated.nr - mm->mirror.have.nr);
	if (page_set_next(&mm->mirror.have, (memfd->bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1),
			  USER_END, 1, &run))
		return error_set(err, CODE_PEER, NULL,
				 "shared memory %u has a page behind its end", mm->id);
	return 0;
}

static int set_attributes(int fd, const struct criu_memfd *memfd, struct error *err)
{
	if (ftruncate(fd, memfd->bytes) || fchown(fd, memfd->uid, memfd->gid) ||
	    fchmod(fd, memfd->mode))
		return error_errno(err, CODE_INTERNAL, NULL,
				   "cannot give shared memory its size, owner and mode");
	return 0;
}

static int adopt_one(struct shm *shm, struct shm_image *image, struct criu_memfd *memfd,
		     struct error *err)
{
	struct mm *mm = image->mm;
	int number, ret;

	mm_lock(mm);
	ret = check_complete(mm, memfd, err) || set_attributes(mm->mirror.fd, memfd, err) ? -1 : 0;
	mm->sealed = true;
	mm->counts.from_mirror = mm->populated.nr;
	mm_unlock(mm);
	if (ret || keeper_lend(shm->keeper, mm->mirror.fd, &number, err))
		return -1;
	image->seals = memfd->seals;
	snprintf(memfd->path, sizeof(memfd->path), "/proc/1/fd/%d", number);
	return 0;
}

static int adopt_all(struct shm *shm, struct criu_memfd *list, size_t nr, struct error *err)
{
	size_t adopted = 0;

	for (size_t i = 0; i < nr; i++) {
		struct shm_image *image = find(shm, list[i].shmid);

		if (!image)
			continue;
		adopted++;
		if (adopt_one(shm, image, &list[i], err))
			return -1;
	}
	return adopted == shm->nr ? 0 :
	       error_set(err, CODE_PEER, NULL,
			 "the images have %zu of the %zu shared memory objects of which the source told",
			 adopted, shm->nr);
}

int shm_adopt(struct shm *shm, int images_dir_fd, const pid_t *pids, size_t nr_pids,
	      struct error *err)
{
	struct criu_memfd *list;
	size_t nr;
	int ret;

	if (!shm->nr)
		return 0;
	if (criu_memfds_read(images_dir_fd, &list, &nr, err))
		return -1;
	ret = adopt_all(shm, list, nr, err) ||
	      criu_memfds_adopt(images_dir_fd, list, nr, pids, nr_pids, err) ? -1 : 0;
	free(list);
	return ret;
}

/* Of one that takes no seals the kernel says F_SEAL_SEAL. */
static int seal(const struct shm_image *image, struct error *err)
{
	int fd = image->mm->mirror.fd;

	if (!image->seals || (int)image->seals == fcntl(fd, F_GET_SEALS) ||
	    !fcntl(fd, F_ADD_SEALS, image->seals))
		return 0;
	return error_errno(err, CODE_INTERNAL, NULL, "cannot seal shared memory %u", image->mm->id);
}

int shm_give(struct shm *shm, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < shm->nr && !ret; i++) {
		struct mm *mm = shm->images[i].mm;
		uint64_t bytes;

		mm_lock(mm);
		bytes = mm->mirror.have.nr * PAGE_BYTES;
		/* F_SEAL_WRITE fails while the memory is mapped here */
		mirror_unmap(&mm->mirror);
		ret = seal(&shm->images[i], err);
		if (!ret)
			mm_give_mirror(mm);
		mm_unlock(mm);
		if (!ret)
			budget_installed(mm->mirror.budget, bytes);
	}
	return ret;
}
