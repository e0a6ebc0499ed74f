// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "criu/sysv_shm.h"
#include "dest/shm.h"

static bool is_file(const struct shm_image *image)
{
	return image->mm->mirror.path;
}

static bool has_name(const struct mirror *mirror)
{
	return mirror->path || mirror->in_tmpfs;
}

/* One that the images have named already is left out: a memfd and a segment may have the same number. */
static struct shm_image *find(const struct shm *shm, uint32_t shmid)
{
	for (size_t i = 0; i < shm->nr; i++)
		if (!has_name(&shm->images[i].mm->mirror) && !shm->images[i].adopted && shm->images[i].shmid == shmid)
			return &shm->images[i];
	return NULL;
}

static int take_one(struct shm *shm, const Migrate__SharedMemory *said, struct error *err)
{
	struct mm *mm = objects_mm(shm->objects, said->object);

	if (!mm || !mm->shm || mm_is_gone(mm) || (said->shmid && has_name(&mm->mirror)))
		return error_set(err, CODE_PEER, NULL,
				 "the source told of shared memory %u, which it did not announce",
				 said->object);
	for (size_t i = 0; i < shm->nr; i++)
		if (shm->images[i].mm == mm ||
		    (!has_name(&mm->mirror) && find(shm, said->shmid)))
			return error_set(err, CODE_PEER, NULL,
					 "the source told of shared memory %u twice", said->object);
	shm->images[shm->nr++] = (struct shm_image){
		.mm = mm, .shmid = said->shmid, .fd = -1,
		.attributes = {
			.bytes = said->bytes, .uid = said->uid, .gid = said->gid,
			.mode = said->mode & 07777,
		},
	};
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

static int give_owner(int fd, const struct criu_memfd *memfd, struct error *err)
{
	/* the kernel takes S_ISUID away from a file that gets another owner */
	if (fchown(fd, memfd->uid, memfd->gid) || fchmod(fd, memfd->mode))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot give shared memory its owner and mode");
	return 0;
}

/*
 * A file is the helper's until it has its name at COMMIT: its owner could put another one in its place before CRIU
 * opens it as root, or move it away before it is named.
 */
static int set_attributes(const struct mirror *mirror, const struct criu_memfd *memfd, struct error *err)
{
	if (mirror->path && memfd->mode & (S_ISUID | S_ISGID))
		return error_set(err, CODE_REFUSED, "take the bits away (chmod ug-s)",
				 "the file %s is set-user-ID or set-group-ID", mirror->path);
	if (ftruncate(mirror->fd, memfd->bytes) || (mirror->path && fchmod(mirror->fd, memfd->mode)))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot give shared memory its size and mode");
	return mirror->path ? 0 : give_owner(mirror->fd, memfd, err);
}

static int complete(struct shm_image *image, struct error *err)
{
	struct mm *mm = image->mm;
	int ret;

	mm_lock(mm);
	ret = check_complete(mm, &image->attributes, err) ||
	      set_attributes(&mm->mirror, &image->attributes, err) ? -1 : 0;
	mm->sealed = true;
	mm->counts.from_mirror = mm->populated.nr;
	mm_unlock(mm);
	return ret;
}

/* By the descriptor of the init: a memfd has no name. */
static int lend(struct shm *shm, struct shm_image *image, char path[ADOPT_NAME_BYTES],
		struct error *err)
{
	int number;

	if (complete(image, err) || keeper_lend(shm->keeper, image->mm->mirror.fd, &number, err))
		return -1;
	snprintf(path, ADOPT_NAME_BYTES, "/proc/1/fd/%d", number);
	return 0;
}

/*
 * By the name that the file has until COMMIT, in the namespace of the program: the file opened by a
 * descriptor of the init would be on a mount that the program does not have.
 */
static int take_name(struct shm_image *image, char path[ADOPT_NAME_BYTES], struct error *err)
{
	char name[PATH_MAX];

	if (complete(image, err))
		return -1;
	mirror_path(&image->mm->mirror, name);
	if (!mirror_path_is_plain(name) || strlen(name) >= ADOPT_NAME_BYTES)
		return error_set(err, CODE_INTERNAL, NULL, "a file of /dev/shm was moved away");
	strcpy(path, name);
	return 0;
}

static int adopt_memfds(struct shm *shm, struct criu_adopt *adopt, struct error *err)
{
	size_t adopted = 0;

	for (size_t i = 0; i < adopt->nr_memfds; i++) {
		struct shm_image *image = find(shm, adopt->memfds[i].shmid);

		if (!image)
			continue;
		adopted++;
		image->adopted = true;
		image->attributes = adopt->memfds[i];
		if (lend(shm, image, adopt->memfds[i].path, err))
			return -1;
	}
	adopt->nr_adopted = adopted;
	return 0;
}

/** struct segment_pages - reads a segment's mirror */
struct segment_pages {
	struct mm *mm;
	bool keeps;
};

/* The mirror is given back as it is copied, unless it is compared later. */
static int read_segment(void *ctx, uint64_t addr, uint64_t nr_pages, void *buf, struct error *err)
{
	const struct segment_pages *pages = ctx;
	struct mirror *mirror = &pages->mm->mirror;
	int ret;

	mm_lock(pages->mm);
	ret = budget_take(mirror->budget, BUDGET_IMAGES, nr_pages * PAGE_BYTES, err) ||
	      mirror_read(mirror, addr, nr_pages, buf, err) ? -1 : 0;
	if (!ret && !pages->keeps)
		mirror_punch(mirror, addr, nr_pages);
	mm_unlock(pages->mm);
	return ret;
}

static int fill_segment(struct shm *shm, int images_dir_fd, const struct criu_sysv *segment, struct error *err)
{
	struct shm_image *image = find(shm, segment->shmid);
	struct segment_pages from = { .mm = image->mm, .keeps = shm->compares };
	const struct criu_pages pages = { .read = read_segment, .ctx = &from };

	image->adopted = true;
	image->attributes.bytes = segment->bytes;
	return complete(image, err) ||
	       criu_sysv_write(images_dir_fd, segment->shmid, &image->mm->mirror.have, &pages, err) ? -1 : 0;
}

static int fill_segments(struct shm *shm, int images_dir_fd, size_t *filled, struct error *err)
{
	struct criu_sysv *segments;
	size_t nr;
	int ret = criu_sysv_read(images_dir_fd, &segments, &nr, err);

	for (size_t i = 0; !ret && i < nr; i++) {
		if (!find(shm, segments[i].shmid))
			continue;
		++*filled;
		ret = fill_segment(shm, images_dir_fd, &segments[i], err);
	}
	free(segments);
	return ret;
}

static size_t nr_of_tmpfs(const struct shm *shm)
{
	size_t nr = 0;

	for (size_t i = 0; i < shm->nr; i++)
		nr += shm->images[i].mm->mirror.in_tmpfs;
	return nr;
}

/* What is neither a memfd of the images nor a file must be a segment. */
static int fill_rest(struct shm *shm, int images_dir_fd, const struct criu_adopt *adopt, struct error *err)
{
	size_t named = adopt->nr_files + nr_of_tmpfs(shm), rest = shm->nr - named - adopt->nr_adopted, filled = 0;

	if (rest && fill_segments(shm, images_dir_fd, &filled, err))
		return -1;
	return filled == rest ? 0 :
	       error_set(err, CODE_PEER, NULL,
			 "the images have %zu of the %zu shared memory objects of which the source told",
			 adopt->nr_adopted + filled, shm->nr - named);
}

static int adopt_files(struct shm *shm, struct criu_adopt *adopt, struct error *err)
{
	adopt->files = calloc(shm->nr, sizeof(*adopt->files));
	if (!adopt->files)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
	for (size_t i = 0; i < shm->nr; i++) {
		struct criu_named *file = &adopt->files[adopt->nr_files];

		if (!is_file(&shm->images[i]))
			continue;
		file->name = shm->images[i].mm->mirror.path;
		adopt->nr_files++;
		if (take_name(&shm->images[i], file->path, err))
			return -1;
	}
	return 0;
}

/* The images have the path of one that the program has open, and it is there: dest/tmpfs.h. */
static int complete_tmpfs(struct shm *shm, struct error *err)
{
	for (size_t i = 0; i < shm->nr; i++)
		if (shm->images[i].mm->mirror.in_tmpfs && complete(&shm->images[i], err))
			return -1;
	return 0;
}

int shm_adopt(struct shm *shm, int images_dir_fd, const pid_t *pids, size_t nr_pids,
	      struct error *err)
{
	struct criu_adopt adopt = { .pids = pids, .nr_pids = nr_pids };
	int ret;

	if (!shm->nr)
		return 0;
	ret = criu_memfds_read(images_dir_fd, &adopt.memfds, &adopt.nr_memfds, err) ||
	      complete_tmpfs(shm, err) || adopt_files(shm, &adopt, err) || adopt_memfds(shm, &adopt, err) ||
	      fill_rest(shm, images_dir_fd, &adopt, err) || criu_adopt(images_dir_fd, &adopt, err) ? -1 : 0;
	free(adopt.memfds);
	free(adopt.files);
	return ret;
}

/* Of one that takes no seals the kernel says F_SEAL_SEAL. */
static int seal(const struct shm_image *image, struct error *err)
{
	int fd = image->mm->mirror.fd, seals = image->attributes.seals;

	if (!seals || seals == fcntl(fd, F_GET_SEALS) || !fcntl(fd, F_ADD_SEALS, seals))
		return 0;
	return error_errno(err, CODE_INTERNAL, NULL, "cannot seal shared memory %u", image->mm->id);
}

/* Lock held. */
static void let_go(struct mm *mm)
{
	/* of a segment the mirror has been given back already */
	uint64_t bytes = mm->populated.nr * PAGE_BYTES;

	mm_give_mirror(mm);
	budget_installed(mm->mirror.budget, bytes);
}

int shm_give(struct shm *shm, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < shm->nr && !ret; i++) {
		struct mm *mm = shm->images[i].mm;

		mm_lock(mm);
		if (shm->compares) {
			shm->images[i].fd = fcntl(mm->mirror.fd, F_DUPFD_CLOEXEC, 0);
			shm->images[i].pages = mm->populated.nr;
		}
		/* F_SEAL_WRITE fails while the memory is mapped here */
		mirror_unmap(&mm->mirror);
		if (!mm->mirror.path) {
			ret = seal(&shm->images[i], err);
			if (!ret)
				let_go(mm);
		}
		mm_unlock(mm);
	}
	return ret;
}

int shm_verify(struct shm *shm, const struct verify *verify, uint64_t *pages, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < shm->nr; i++) {
		struct shm_image *image = &shm->images[i];

		if (!ret)
			ret = verify_shared(verify, image->mm->id, image->fd, image->pages, pages, err);
		if (image->fd >= 0)
			close(image->fd);
		image->fd = -1;
	}
	return ret;
}

int shm_check_names(const struct shm *shm, struct error *err)
{
	for (size_t i = 0; i < shm->nr; i++)
		if (shm->images[i].mm->mirror.path &&
		    mirror_check_name(shm->images[i].mm->mirror.path, err))
			return -1;
	return 0;
}

int shm_name(struct shm *shm, struct error *err)
{
	for (size_t i = 0; i < shm->nr; i++) {
		struct mirror *mirror = &shm->images[i].mm->mirror;

		if (mirror->path && (mirror_name(mirror, err) ||
				     give_owner(mirror->fd, &shm->images[i].attributes, err)))
			return -1;
	}
	return 0;
}

void shm_end(struct shm *shm)
{
	for (size_t i = 0; i < shm->nr; i++) {
		struct mm *mm = shm->images[i].mm;

		mm_lock(mm);
		if (mm->mirror.path) {
			/* the name stays */
			free(mm->mirror.path);
			mm->mirror.path = NULL;
			let_go(mm);
		}
		mm_unlock(mm);
	}
}
