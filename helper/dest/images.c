// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/io.h"
#include "dest/images.h"
#include "os/fs_room.h"
#include "os/migration_dirs.h"
#include "os/safe_dir.h"

#define MAX_FILES	98304	/* 16 of each process, and one of each thread */
#define FILE_BYTES	1024	/* that the kernel takes for an empty file */
#define MAX_PIECE	(1u << 20)

int images_check(const char *base, struct error *err)
{
	int fd = safe_dir_open(base, true, err);

	if (fd < 0)
		return -1;
	if (faccessat(fd, ".", W_OK | X_OK, 0))
		error_errno(err, CODE_NOT_READY, "choose another --images-dir",
			    "cannot write to %s", base);
	close(fd);
	return error_is_set(err) ? -1 : 0;
}

static int open_subdir(const struct owned_dir *dir, const char *name, struct error *err)
{
	int fd;

	if (mkdirat(dir->fd, name, 0700))
		return error_errno(err, CODE_NOT_READY, NULL, "cannot make %s/%s", dir->path, name);
	fd = openat(dir->fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		error_errno(err, CODE_INTERNAL, NULL, "cannot open %s/%s", dir->path, name);
	return fd;
}

int images_make(struct images *images, const char *base, const uint8_t *id, struct error *err)
{
	char name[sizeof(images->dir.name)];

	memset(images, 0, sizeof(*images));
	images->images_fd = -1;
	images->work_fd = -1;
	images->file = -1;
	for (int i = 0; i < CONN_ID_BYTES; i++)
		sprintf(images->id + 2 * i, "%02x", id[i]);
	snprintf(name, sizeof(name), "%s" MIGRATION_DIR_DEST, images->id);
	if (owned_dir_make(&images->dir, base, name, err))
		return -1;
	images->images_fd = open_subdir(&images->dir, "images", err);
	if (images->images_fd >= 0)
		images->work_fd = open_subdir(&images->dir, "work", err);
	if (images->work_fd >= 0)
		return 0;
	owned_dir_remove(&images->dir);
	return -1;
}

static bool name_is_good(const char *name)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t len = strlen(name);

	/* criu_rewrite() makes "parent" */
	return len && len < sizeof(((struct images *)0)->name) && name[0] != '.' &&
	       strspn(name, good) == len && strcmp(name, "parent");
}

static int start_file(struct images *images, const char *name, struct error *err)
{
	if (!name_is_good(name))
		return error_set(err, CODE_PEER, NULL, "the source sent an image with a bad name");
	if (images->files >= MAX_FILES)
		return error_set(err, CODE_PEER, NULL, "the source sent more than %d images", MAX_FILES);
	if (budget_take(images->budget, BUDGET_BOOKS, FILE_BYTES, err))
		return -1;
	images->file = openat(images->images_fd, name,
			      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (images->file < 0)
		return error_errno(err, CODE_PEER, NULL, "cannot make the image %s", name);
	snprintf(images->name, sizeof(images->name), "%s", name);
	images->offset = 0;
	return 0;
}

static int write_piece(struct images *images, const ProtobufCBinaryData *data, struct error *err)
{
	uint64_t free;

	if (budget_take(images->budget, BUDGET_IMAGES, data->len, err))
		return -1;
	if (!fs_has_room(images->file, data->len, &free))
		return error_set(err, CODE_NOT_READY, "make room there, or choose another --images-dir",
				 "%s has %" PRIu64 " MiB left, which others may need", images->dir.path, free >> 20);
	if (io_write_all(images->file, data->data, data->len))
		return error_errno(err, CODE_NOT_READY,
				   "make room there, or choose another --images-dir",
				   "cannot write %s/images/%s", images->dir.path, images->name);
	images->offset += data->len;
	images->bytes += data->len;
	return 0;
}

int images_take(struct images *images, const Migrate__ImageFile *piece, struct error *err)
{
	if (images->file < 0 && start_file(images, piece->name, err))
		return -1;
	if (strcmp(piece->name, images->name) || piece->offset != images->offset ||
	    piece->data.len > MAX_PIECE)
		return error_set(err, CODE_PEER, NULL, "the source sent the image %s out of order",
				 images->name);
	if (write_piece(images, &piece->data, err))
		return -1;
	if (!piece->last)
		return 0;
	close(images->file);
	images->file = -1;
	images->files++;
	return 0;
}

int images_check_complete(const struct images *images, uint32_t files, struct error *err)
{
	if (images->files == files && images->file < 0)
		return 0;
	return error_set(err, CODE_PEER, NULL, "%u image files came, the source sent %u",
			 images->files, files);
}

/* By what is opened: nobody but this process writes there. */
static int lend(int fd, gid_t gid, mode_t mode)
{
	return fchown(fd, -1, gid) || fchmod(fd, mode) ? -1 : 0;
}

/* The files of a directory, and the directory itself; in that of the images is one with the images of the parent. */
static int lend_all(int dir_fd, gid_t gid, int depth)
{
	int copy = openat(dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC), ret = 0, fd;
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	struct stat st;

	if (!list && copy >= 0)
		close(copy);
	if (!list)
		return -1;
	while (!ret && (entry = readdir(list))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		fd = openat(dir_fd, entry->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		ret = fd < 0 || fstat(fd, &st) ? -1 :
		      S_ISDIR(st.st_mode) && depth ? lend_all(fd, gid, depth - 1) :
		      S_ISREG(st.st_mode) ? lend(fd, gid, 0640) : 0;
		if (fd >= 0)
			close(fd);
	}
	closedir(list);
	return ret ? -1 : lend(dir_fd, gid, 0710);
}

int images_lend(const struct images *images, gid_t gid, struct error *err)
{
	return lend_all(images->images_fd, gid, 1) || lend(images->dir.fd, gid, 0710) ?
	       error_errno(err, CODE_INTERNAL, NULL, "cannot let the program's user namespace read the images") :
	       0;
}

void images_close(struct images *images)
{
	int *fds[] = { &images->images_fd, &images->work_fd, &images->file };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}
