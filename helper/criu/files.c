// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "criu/image.h"
#include "criu/repairs.h"
#include "images.pb-c.h"

#define TYPE_REG	1	/* of FileEntry and FdinfoEntry */
#define TYPE_TTY	11
#define TCP_CLOSED	7	/* state of an InetSkEntry */
#define TTY_PTY		1	/* of TtyInfoEntry */
#define TTY_EXTERNAL	5

static char dev_null[] = "/dev/null";
static const char tty_info_name[] = "tty-info.img";

/** struct ids - a set of record ids; @failed: memory was short */
struct ids {
	uint32_t *ids;
	size_t nr;
	bool failed;
};

/**
 * struct edit - one run of criu_files_repair()
 * @infos: records of tty-info.img that were taken out
 * @ttys: records of files.img that were terminals
 * @last_id: highest in files.img; the next one is /dev/null
 * @failed: no memory
 * @fown: owner of the last terminal, a packed message: /dev/null gets it too
 */
struct edit {
	struct criu_files *files;
	struct ids infos, ttys;
	uint32_t last_id;
	bool failed;
	ProtobufCBinaryData fown;
};

static void ids_add(struct ids *ids, uint32_t id)
{
	uint32_t *more = realloc(ids->ids, (ids->nr + 1) * sizeof(*more));

	if (more) {
		ids->ids = more;
		more[ids->nr++] = id;
	}
	ids->failed |= !more;
}

static bool ids_have(const struct ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->nr; i++)
		if (ids->ids[i] == id)
			return true;
	return false;
}

static bool tty_info_edit(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__TtyInfoEntry *info = (const Img__TtyInfoEntry *)msg;
	struct edit *edit = ctx;

	if (!info)
		return false;
	if (info->type != TTY_EXTERNAL) {
		image_out_add(out, msg);
		return false;
	}
	ids_add(&edit->infos, info->id);
	return true;
}

static void put_file(struct image_out *out, uint32_t id, uint32_t flags, char *name,
		     ProtobufCBinaryData fown)
{
	Img__RegFileEntry reg = IMG__REG_FILE_ENTRY__INIT;
	Img__FileEntry file = IMG__FILE_ENTRY__INIT;

	reg.id = id;
	reg.flags = flags;
	reg.fown = fown;
	reg.name = name;
	file.has_type = file.has_id = true;
	file.type = TYPE_REG;
	file.id = id;
	file.reg = &reg;
	image_out_add(out, &file.base);
}

/* The program must not read @replace_tty as if a user had typed it: so it is opened for writing. */
static void put_replacement(struct edit *edit, const Img__TtyFileEntry *tty, struct image_out *out)
{
	uint32_t flags = tty->flags & ~(O_ACCMODE | O_NOCTTY);
	const char *name = edit->files->replace_tty;

	if (!strcmp(name, dev_null) || (tty->flags & O_ACCMODE) == O_RDONLY)
		put_file(out, tty->id, flags | (tty->flags & O_ACCMODE), dev_null, tty->fown);
	else
		put_file(out, tty->id, flags | O_WRONLY | O_APPEND, (char *)name, tty->fown);
	edit->files->terminals++;
	ids_add(&edit->ttys, tty->id);
}

static void keep_fown(struct edit *edit, const ProtobufCBinaryData *fown)
{
	free(edit->fown.data);
	edit->fown.data = malloc(fown->len + 1);
	edit->fown.len = edit->fown.data ? fown->len : 0;
	edit->ttys.failed |= !edit->fown.data;
	if (edit->fown.data)
		memcpy(edit->fown.data, fown->data, fown->len);
}

void criu_rename_free(struct criu_rename *rename)
{
	free(rename->external);
	free(rename->path);
}

/* The record keeps the string: it is freed with it. */
static bool name_edit(Img__RegFileEntry *reg, struct edit *edit)
{
	for (size_t i = 0; reg->ext && i < edit->files->nr_renames; i++) {
		const struct criu_rename *rename = &edit->files->renames[i];
		char *path;

		if (strcmp(reg->name, rename->external))
			continue;
		path = strdup(rename->path);
		edit->failed |= !path;
		if (!path)
			return false;
		free(reg->name);
		reg->name = path;
		reg->has_ext = reg->ext = false;
		edit->files->renamed++;
		return true;
	}
	return false;
}

static bool size_edit(Img__RegFileEntry *reg, struct edit *edit)
{
	if (!reg->has_size || (reg->flags & O_ACCMODE) != O_WRONLY)
		return false;
	reg->has_size = false;
	edit->files->sizes++;
	return true;
}

static bool socket_edit(Img__InetSkEntry *socket, struct criu_files *files)
{
	if (socket->proto != IPPROTO_TCP || socket->state != TCP_CLOSED || !socket->src_port ||
	    !files->was_reset || !files->was_reset(files->ctx, socket->ino))
		return false;
	socket->src_port = 0;
	files->unbound++;
	return true;
}

static bool file_edit(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__FileEntry *file = (const Img__FileEntry *)msg;
	struct edit *edit = ctx;
	bool changed = false;

	if (!file && edit->ttys.nr)
		put_file(out, edit->last_id + 1, O_RDWR, dev_null, edit->fown);
	if (!file)
		return edit->ttys.nr;
	if (file->id > edit->last_id)
		edit->last_id = file->id;
	if (file->tty && ids_have(&edit->infos, file->tty->tty_info_id)) {
		put_replacement(edit, file->tty, out);
		keep_fown(edit, &file->tty->fown);
		return true;
	}
	if (file->reg) {
		bool named = name_edit(file->reg, edit), sized = size_edit(file->reg, edit);

		changed = named || sized;
	}
	if (file->isk)
		changed = socket_edit(file->isk, edit->files);
	image_out_add(out, msg);
	return changed;
}

static bool fd_edit(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	Img__FdinfoEntry *fd = (Img__FdinfoEntry *)msg;
	struct edit *edit = ctx;
	bool changed;

	if (!fd)
		return false;
	changed = fd->type == TYPE_TTY && ids_have(&edit->ttys, fd->id);
	if (changed)
		fd->type = TYPE_REG;
	/* standard input becomes /dev/null, also when other descriptors share its open file */
	if (changed && fd->fd == 0)
		fd->id = edit->last_id + 1;
	image_out_add(out, msg);
	return changed;
}

/* Each table of descriptors, which several processes may share, has an image fdinfo-N. */
static int edit_tables(int images_dir_fd, struct edit *edit, struct error *err)
{
	return image_edit_each(images_dir_fd, "fdinfo-", IMAGE_FDINFO,
			       &img__fdinfo_entry__descriptor, fd_edit, edit, err);
}

static int edit_all(int images_dir_fd, struct edit *edit, struct error *err)
{
	if (edit->files->replace_tty &&
	    !faccessat(images_dir_fd, tty_info_name, F_OK, AT_SYMLINK_NOFOLLOW) &&
	    image_edit(images_dir_fd, tty_info_name, IMAGE_TTY_INFO,
		       &img__tty_info_entry__descriptor, tty_info_edit, edit, err))
		return -1;
	if (image_edit(images_dir_fd, "files.img", IMAGE_FILES, &img__file_entry__descriptor,
		       file_edit, edit, err) ||
	    (edit->ttys.nr && edit_tables(images_dir_fd, edit, err)))
		return -1;
	return edit->infos.failed || edit->ttys.failed || edit->failed ?
	       error_set(err, CODE_INTERNAL, NULL, "no memory for names in the images") : 0;
}

int criu_files_repair(int images_dir_fd, struct criu_files *files, struct error *err)
{
	struct edit edit = { .files = files };
	int ret;

	files->sizes = files->terminals = files->renamed = files->unbound = 0;
	ret = edit_all(images_dir_fd, &edit, err);
	free(edit.infos.ids);
	free(edit.ttys.ids);
	free(edit.fown.data);
	return ret;
}

static bool look_for_pty(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	const Img__TtyInfoEntry *info = (const Img__TtyInfoEntry *)msg;
	bool *has = ctx;

	*has |= info && info->type == TTY_PTY;
	return false;
}

int criu_has_ptys(int images_dir_fd, struct error *err)
{
	bool has = false;

	/* CRIU makes no image without records */
	if (faccessat(images_dir_fd, tty_info_name, F_OK, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (image_edit(images_dir_fd, tty_info_name, IMAGE_TTY_INFO,
		       &img__tty_info_entry__descriptor, look_for_pty, &has, err))
		return -1;
	return has;
}

/** struct sessions - the root's session and group, of others; @root: what they become */
struct sessions {
	uint32_t root, sid, pgid;
	bool known;
};

/* The root leads a session of its own then, and those that were in its old session and group follow. */
static bool tree_edit(void *ctx, const ProtobufCMessage *msg, struct image_out *out)
{
	Img__PstreeEntry *task = (Img__PstreeEntry *)msg;
	struct sessions *sessions = ctx;
	bool changed = false;

	if (!task)
		return false;
	if (!sessions->known)
		*sessions = (struct sessions){ task->pid, task->sid, task->pgid, true };
	if (task->sid == sessions->sid && task->sid != sessions->root) {
		task->has_sid = changed = true;
		task->sid = sessions->root;
	}
	if (task->pgid == sessions->pgid && task->pgid != sessions->root) {
		task->has_pgid = changed = true;
		task->pgid = sessions->root;
	}
	image_out_add(out, msg);
	return changed;
}

int criu_session_repair(int images_dir_fd, struct error *err)
{
	struct sessions sessions = { 0 };

	return image_edit(images_dir_fd, "pstree.img", IMAGE_PSTREE,
			  &img__pstree_entry__descriptor, tree_edit, &sessions, err);
}
