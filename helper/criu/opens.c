// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "criu/image.h"
#include "criu/opens.h"
#include "images.pb-c.h"

/* VmaEntry.status: it has a file, which is no memfd */
#define STATUS_FILE	(1U << 6 | 1U << 7)
#define STATUS_MEMFD	(1U << 14)

static const char remaps_name[] = "remap-fpath.img";

/** struct record - a RegFileEntry with its id */
struct record {
	uint32_t id;
	struct criu_open open;
};

/** struct opens - @list: @nr records, sorted by id. @failed: memory was short; @strange: an id is missing or twice */
struct opens {
	struct record *list;
	size_t nr;
	bool failed, strange;
};

static int compare(const void *left, const void *right)
{
	const struct record *a = left, *b = right;

	return a->id < b->id ? -1 : a->id > b->id;
}

static struct criu_open *find(struct opens *opens, uint32_t id)
{
	const struct record key = { .id = id };
	struct record *found = opens->nr ? bsearch(&key, opens->list, opens->nr, sizeof(key), compare) : NULL;

	opens->strange |= !found;
	return found ? &found->open : NULL;
}

static bool take_file(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__RegFileEntry *reg = msg ? ((const Img__FileEntry *)msg)->reg : NULL;
	struct opens *opens = ctx;
	bool full = !(opens->nr & (opens->nr - 1));
	struct record *more;

	if (!reg || reg->ext)
		return false;
	/* doubled whenever it is full: its room is a power of two */
	more = full ? reallocarray(opens->list, 2 * opens->nr + 1, sizeof(*more)) : opens->list;
	if (more) {
		opens->list = more;
		more[opens->nr] = (struct record){ .id = reg->id, .open = { .path = strdup(reg->name), .flags = reg->flags } };
	}
	opens->failed |= !more || !more[opens->nr].open.path;
	opens->nr += !!more;
	return false;
}

/* CRIU opens the path with the terminal's own flags. */
static bool take_tty(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__TtyFileEntry *tty = msg ? ((const Img__FileEntry *)msg)->tty : NULL;
	struct criu_open *open = tty && tty->has_regf_id ? find(ctx, tty->regf_id) : NULL;

	if (open)
		open->writes |= (tty->flags & O_ACCMODE) != O_RDONLY;
	return false;
}

static bool take_fs(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__FsEntry *fs = (const Img__FsEntry *)msg;
	struct criu_open *cwd = fs ? find(ctx, fs->cwd_id) : NULL, *root = fs ? find(ctx, fs->root_id) : NULL;

	if (cwd)
		cwd->searched = true;
	if (root)
		root->searched = root->root = true;
	return false;
}

static bool take_mm(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__MmEntry *mm = (const Img__MmEntry *)msg;

	for (size_t i = 0; mm && i < mm->n_vmas; i++) {
		const Img__VmaEntry *vma = mm->vmas[i];
		struct criu_open *open;

		/* where the flags are not said, CRIU goes by these */
		if (vma->has_fdflags ? (vma->fdflags & O_ACCMODE) == O_RDONLY : !(vma->prot & PROT_WRITE))
			continue;
		open = vma->status & STATUS_FILE && !(vma->status & STATUS_MEMFD) ? find(ctx, vma->shmid) : NULL;
		if (open)
			open->writes = true;
	}
	return false;
}

static bool take_remap(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__RemapFilePathEntry *remap = (const Img__RemapFilePathEntry *)msg;
	struct criu_open *open = remap ? find(ctx, remap->orig_id) : NULL;

	if (open)
		open->ghost = true;
	return false;
}

static int take_all(struct opens *opens, int dir_fd, struct error *err)
{
	if (image_edit(dir_fd, "files.img", IMAGE_FILES, &img__file_entry__descriptor, take_file, opens, err))
		return -1;
	if (opens->nr)
		qsort(opens->list, opens->nr, sizeof(*opens->list), compare);
	for (size_t i = 1; i < opens->nr; i++)
		opens->strange |= opens->list[i - 1].id == opens->list[i].id;
	if (image_edit(dir_fd, "files.img", IMAGE_FILES, &img__file_entry__descriptor, take_tty, opens, err) ||
	    image_edit_each(dir_fd, "fs-", IMAGE_FS, &img__fs_entry__descriptor, take_fs, opens, err) ||
	    image_edit_each(dir_fd, "mm-", IMAGE_MM, &img__mm_entry__descriptor, take_mm, opens, err) ||
	    (!faccessat(dir_fd, remaps_name, F_OK, AT_SYMLINK_NOFOLLOW) &&
	     image_edit(dir_fd, remaps_name, IMAGE_REMAP_FPATH, &img__remap_file_path_entry__descriptor, take_remap, opens, err)))
		return -1;
	if (opens->failed)
		return error_set(err, CODE_INTERNAL, NULL, "no memory for names in the images");
	return opens->strange ? error_set(err, CODE_CRIU, NULL, "the images name an open file that they do not have, or have twice") : 0;
}

int criu_opens_each(int images_dir_fd, criu_open_fn fn, void *ctx, struct error *err)
{
	struct opens opens = { 0 };
	int ret = take_all(&opens, images_dir_fd, err);

	for (size_t i = 0; i < opens.nr && !ret; i++)
		ret = fn(ctx, &opens.list[i].open, err);
	for (size_t i = 0; i < opens.nr; i++)
		free(opens.list[i].open.path);
	free(opens.list);
	return ret;
}

/** struct making - @found: an entry of files.img makes a file; @name: its path */
struct making {
	bool found;
	char name[64];
};

static bool look_for_making(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__FileEntry *file = (const Img__FileEntry *)msg;
	struct making *making = ctx;

	if (!file || making->found)
		return false;
	if ((file->reg && file->reg->flags & CRIU_FLAGS_MAKE) || (file->tty && file->tty->flags & CRIU_FLAGS_MAKE)) {
		making->found = true;
		strncat(making->name, file->reg ? file->reg->name : "a terminal", sizeof(making->name) - 1);
	}
	return false;
}

int criu_opens_check(int images_dir_fd, struct error *err)
{
	struct making making = { 0 };

	if (image_edit(images_dir_fd, "files.img", IMAGE_FILES, &img__file_entry__descriptor, look_for_making, &making, err))
		return -1;
	return making.found ? error_set(err, CODE_REFUSED, NULL, "the images would have CRIU make or empty a file (%s)", making.name) : 0;
}
