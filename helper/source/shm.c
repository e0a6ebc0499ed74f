// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/memfs.h"
#include "pages/sets.h"
#include "source/shm.h"

int shms_init(struct source_shms *shms, const struct migrate_options *opts, struct error *err)
{
	*shms = (struct source_shms){ .opts = opts };
	shms->buf = malloc(SHM_PIECE_PAGES * PAGE_BYTES);
	if (!shms->buf)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for shared memory");
	return memfs_kernels_device(&shms->dev, err);
}

void source_shm_end(struct source_shm *shm)
{
	if (shm->fd >= 0) {
		close(shm->fd);
		page_set_destroy(&shm->data);
		page_set_destroy(&shm->sent);
		free(shm->digests);
		free(shm->same);
	}
	shm->fd = -1;
	shm->digests = NULL;
	shm->same = NULL;
	shm->same_room = 0;
	shm->gone = true;
}

void shms_destroy(struct source_shms *shms)
{
	for (size_t i = 0; i < shms->nr; i++) {
		source_shm_end(shms->list[i]);
		free(shms->list[i]);
	}
	free(shms->list);
	free(shms->buf);
	free(shms->dump.objects);
	memset(shms, 0, sizeof(*shms));
}

static int find_data(struct source_shm *shm, struct error *err)
{
	off_t at = 0, end;

	sets_clear(&shm->data);
	while ((uint64_t)at < shm->bytes) {
		at = lseek(shm->fd, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			return 0;
		end = at < 0 ? -1 : lseek(shm->fd, at, SEEK_HOLE);
		if (end < 0)
			return error_errno(err, CODE_TARGET, NULL, "cannot read shared memory \"%s\"",
					   shm->name);
		/* the object may have grown since its size was read */
		end = (end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
		if ((uint64_t)end > shm->bytes)
			end = shm->bytes;
		if (end > at && page_set_add(&shm->data, at, (end - at) / PAGE_BYTES, err))
			return -1;
		at = end;
	}
	return 0;
}

/* Where the object has become shorter the destination forgets pages by itself: see shms_announce(). */
static void forget_behind(struct source_shm *shm)
{
	uint64_t addr = shm->bytes;
	struct run run;

	while (page_set_next(&shm->sent, addr, USER_END, 0, &run)) {
		page_set_remove(&shm->sent, run.addr, run.nr_pages);
		addr = run_end(&run);
	}
}

static int look(struct source_shm *shm, struct error *err)
{
	uint64_t pages;

	if (fstat(shm->fd, &shm->st))
		return error_errno(err, CODE_TARGET, NULL, "cannot look at shared memory \"%s\"",
				   shm->name);
	pages = (shm->st.st_size + PAGE_BYTES - 1) / PAGE_BYTES;
	if (pages > shm->room) {
		XXH128_hash_t *digests = reallocarray(shm->digests, pages, sizeof(*digests));

		if (!digests)
			return error_errno(err, CODE_NOT_READY, NULL,
					   "no memory for digests of %lu pages", pages);
		shm->digests = digests;
		shm->room = pages;
	}
	shm->bytes = pages * PAGE_BYTES;
	forget_behind(shm);
	return find_data(shm, err);
}

int shms_look(struct source_shms *shms, struct error *err)
{
	for (size_t i = 0; i < shms->nr; i++)
		if (!shms->list[i]->gone && look(shms->list[i], err))
			return -1;
	return 0;
}

uint64_t shms_pages(const struct source_shms *shms)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < shms->nr; i++)
		if (!shms->list[i]->gone)
			pages += shms->list[i]->data.nr;
	return pages;
}

uint64_t shms_tmpfs_pages(const struct source_shms *shms)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < shms->nr; i++)
		if (!shms->list[i]->gone && shms->list[i]->tmpfs)
			pages += shms->list[i]->data.nr;
	return pages;
}

size_t shms_nr(const struct source_shms *shms)
{
	size_t nr = 0;

	for (size_t i = 0; i < shms->nr; i++)
		nr += !shms->list[i]->gone;
	return nr;
}

static int say_size(struct source_shm *shm, struct control *ctl, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Maps maps = MIGRATE__MAPS__INIT;
	Migrate__Vma vma = MIGRATE__VMA__INIT, *list = &vma;

	if (shm->said_bytes == shm->bytes)
		return 0;
	shm->said_bytes = shm->bytes;
	vma.end = shm->bytes;
	vma.prot = PROT_READ | PROT_WRITE;
	vma.shared = vma.anon = vma.ours = true;
	maps.object = shm->object;
	maps.vmas = &list;
	maps.n_vmas = shm->bytes ? 1 : 0;
	msg.body_case = MIGRATE__CONTROL__BODY_MAPS;
	msg.maps = &maps;
	return control_send(ctl, &msg, err);
}

void source_shm_say(const struct source_shm *shm, Migrate__Object *object)
{
	migrate__object__init(object);
	object->id = shm->object;
	object->kind = MIGRATE__OBJECT_KIND__SHM;
	object->name = (char *)shm->name;
	object->has_sealable = object->has_file = true;
	object->sealable = shm->sealable;
	object->file = shm->named && !shm->tmpfs;
	object->has_tmpfs = shm->tmpfs;
	object->tmpfs = shm->tmpfs;
	object->has_huge_kib = shm->huge_kib;
	object->huge_kib = shm->huge_kib;
}

static int say_object(struct source_shm *shm, struct control *ctl, struct error *err)
{
	Migrate__Control msg = MIGRATE__CONTROL__INIT;
	Migrate__Objects objects = MIGRATE__OBJECTS__INIT;
	Migrate__Object object = MIGRATE__OBJECT__INIT, *begun = &object;

	if (shm->announced == !shm->gone)
		return 0;
	shm->announced = !shm->gone;
	source_shm_say(shm, &object);
	if (shm->gone) {
		objects.gone = &shm->object;
		objects.n_gone = 1;
	} else {
		objects.begun = &begun;
		objects.n_begun = 1;
	}
	msg.body_case = MIGRATE__CONTROL__BODY_OBJECTS;
	msg.objects = &objects;
	return control_send(ctl, &msg, err);
}

int shms_announce(struct source_shms *shms, struct control *ctl, struct error *err)
{
	for (size_t i = 0; i < shms->nr; i++) {
		struct source_shm *shm = shms->list[i];

		if (say_object(shm, ctl, err) || (!shm->gone && say_size(shm, ctl, err)))
			return -1;
	}
	return 0;
}
