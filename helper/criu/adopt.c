// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "criu/adopt.h"
#include "criu/image.h"
#include "images.pb-c.h"

#define TYPE_REG	1		/* of FileEntry and FdinfoEntry */
#define TYPE_MEMFD	18
#define STATUS_MEMFD	(1U << 14)	/* of VmaEntry */
#define MEMFDS_MAX	4096
#define MEMFD_BYTES_MAX	(1UL << 46)

static const char memfd_name[] = "memfd.img";

/**
 * struct adopting - one run of criu_adopt()
 * @ids: records of files.img that are of an adopted memfd
 * @failed: no memory
 */
struct adopting {
	const struct criu_adopt *adopt;
	uint32_t *ids;
	size_t nr_ids;
	bool failed;
};

static int take_memfd(const Img__MemfdInodeEntry *from, struct criu_memfd **list, size_t *nr,
		      struct error *err)
{
	struct criu_memfd *more;

	/* hostile images may have millions, each of which is looked for by each open file */
	if (*nr == MEMFDS_MAX)
		return error_set(err, CODE_CRIU, NULL, "the images have more than %d memfds",
				 MEMFDS_MAX);
	more = realloc(*list, (*nr + 1) * sizeof(*more));
	if (!more)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of memfds");
	*list = more;
	if (from->size > MEMFD_BYTES_MAX)
		return error_set(err, CODE_CRIU, NULL, "the images have a memfd of %lu bytes",
				 (unsigned long)from->size);
	more[(*nr)++] = (struct criu_memfd){
		.shmid = from->shmid, .uid = from->uid, .gid = from->gid, .seals = from->seals,
		.mode = from->has_mode ? from->mode & 07777 : 0777,
		.bytes = from->size, .inode_id = from->inode_id,
	};
	return 0;
}

int criu_memfds_read(int images_dir_fd, struct criu_memfd **list, size_t *nr, struct error *err)
{
	ProtobufCMessage *msg;
	struct image image;
	int ret;

	*list = NULL;
	*nr = 0;
	/* CRIU makes no image without records */
	if (faccessat(images_dir_fd, memfd_name, F_OK, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (image_open(&image, images_dir_fd, memfd_name, IMAGE_MEMFD, err))
		return -1;
	while ((ret = image_next(&image, &img__memfd_inode_entry__descriptor, &msg, err)) > 0) {
		ret = take_memfd((Img__MemfdInodeEntry *)msg, list, nr, err);
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret)
			break;
	}
	image_close(&image);
	if (ret) {
		free(*list);
		*list = NULL;
	}
	return ret;
}

static const struct criu_memfd *find(const struct adopting *adopting, uint64_t inode_id)
{
	const struct criu_adopt *adopt = adopting->adopt;

	for (size_t i = 0; i < adopt->nr_memfds; i++)
		if (adopt->memfds[i].inode_id == inode_id && *adopt->memfds[i].path)
			return &adopt->memfds[i];
	return NULL;
}

static bool has(const struct adopting *adopting, uint32_t id)
{
	size_t low = 0, high = adopting->nr_ids;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (adopting->ids[mid] == id)
			return true;
		if (adopting->ids[mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

static void add(struct adopting *adopting, uint32_t id)
{
	uint32_t *more = realloc(adopting->ids, (adopting->nr_ids + 1) * sizeof(*more));

	adopting->failed |= !more;
	if (!more)
		return;
	adopting->ids = more;
	more[adopting->nr_ids++] = id;
}

/* The record keeps the string: it is freed with it. */
static bool name_edit(Img__RegFileEntry *reg, struct adopting *adopting)
{
	const struct criu_adopt *adopt = adopting->adopt;
	char *path;

	for (size_t i = 0; i < adopt->nr_files; i++) {
		if (strcmp(reg->name, adopt->files[i].name))
			continue;
		path = strdup(adopt->files[i].path);
		adopting->failed |= !path;
		if (!path)
			return false;
		free(reg->name);
		reg->name = path;
		return true;
	}
	return false;
}

static bool file_edit(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__FileEntry *file = (const Img__FileEntry *)msg;
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;
	Img__FileEntry new = IMG__FILE_ENTRY__INIT;
	struct adopting *adopting = ctx;
	const struct criu_memfd *memfd;

	if (!file)
		return false;
	memfd = file->memfd ? find(adopting, file->memfd->inode_id) : NULL;
	if (!memfd) {
		bool named = file->reg && name_edit(file->reg, adopting);

		image_out_add(out, msg);
		return named;
	}
	reg.id = file->memfd->id;
	reg.flags = file->memfd->flags;
	reg.pos = file->memfd->pos;
	reg.fown = file->memfd->fown;
	reg.name = (char *)memfd->path;
	new.has_type = new.has_id = true;
	new.type = TYPE_REG;
	new.id = reg.id;
	new.reg = &reg;
	image_out_add(out, &new.base);
	add(adopting, reg.id);
	return true;
}

static bool fd_edit(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	Img__FdinfoEntry *fd = (Img__FdinfoEntry *)msg;
	bool changed;

	if (!fd)
		return false;
	changed = fd->type == TYPE_MEMFD && has(ctx, fd->id);
	if (changed)
		fd->type = TYPE_REG;
	image_out_add(out, msg);
	return changed;
}

static bool mm_edit(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	Img__MmEntry *mm = (Img__MmEntry *)msg;
	bool changed = false;

	if (!mm)
		return false;
	for (size_t i = 0; i < mm->n_vmas; i++) {
		Img__VmaEntry *vma = mm->vmas[i];

		if (!(vma->status & STATUS_MEMFD) || !vma->has_shmid || !has(ctx, vma->shmid))
			continue;
		vma->status &= ~STATUS_MEMFD;
		changed = true;
	}
	image_out_add(out, msg);
	return changed;
}

/* Each table of descriptors, which several processes may share, has an image fdinfo-N. */
static int edit_tables(int images_dir_fd, struct adopting *adopting, struct error *err)
{
	return image_edit_each(images_dir_fd, "fdinfo-", IMAGE_FDINFO,
			       &img__fdinfo_entry__descriptor, fd_edit, adopting, err);
}

static int compare_ids(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

static int edit_mappings(int images_dir_fd, struct adopting *adopting, struct error *err)
{
	const struct criu_adopt *adopt = adopting->adopt;
	char name[IMAGE_NAME_MAX];

	for (size_t i = 0; i < adopt->nr_pids; i++) {
		snprintf(name, sizeof(name), "mm-%d.img", adopt->pids[i]);
		if (image_edit(images_dir_fd, name, IMAGE_MM, &img__mm_entry__descriptor, mm_edit,
			       adopting, err))
			return -1;
	}
	return 0;
}

static int edit_all(int images_dir_fd, struct adopting *adopting, struct error *err)
{
	if (image_edit(images_dir_fd, "files.img", IMAGE_FILES, &img__file_entry__descriptor,
		       file_edit, adopting, err))
		return -1;
	if (adopting->failed)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for a list of files");
	if (!adopting->nr_ids)
		return 0;
	qsort(adopting->ids, adopting->nr_ids, sizeof(*adopting->ids), compare_ids);
	return edit_tables(images_dir_fd, adopting, err) ||
	       edit_mappings(images_dir_fd, adopting, err) ? -1 : 0;
}

int criu_adopt(int images_dir_fd, const struct criu_adopt *adopt, struct error *err)
{
	struct adopting adopting = { .adopt = adopt };
	int ret = edit_all(images_dir_fd, &adopting, err);

	free(adopting.ids);
	return ret;
}
