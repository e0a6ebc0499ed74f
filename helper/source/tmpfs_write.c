// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "os/dir_walk.h"
#include "session/tmpfs_image.h"
#include "source/tmpfs_write.h"

#define PIECE_BYTES	(1UL << 20)

/** struct named_file - a file that has several names; @first: its record, counted from 1 */
struct named_file {
	ino_t ino;
	uint32_t first;
};

/** struct writing - one image. @files: struct named_file, in a tree of search.h; @cost: of what was written */
struct writing {
	const struct source_shms *shms;
	FILE *out;
	uint8_t *buf;
	void *files;
	uint32_t records;
	uint64_t cost;
};

static int compare_files(const void *a, const void *b)
{
	const struct named_file *one = a, *other = b;

	return one->ino < other->ino ? -1 : one->ino > other->ino;
}

/* *@first: 0 when this is the first name, or the only one. */
static int find_first(struct writing *writing, const struct stat *st, uint32_t *first)
{
	struct named_file *file, **at;

	*first = 0;
	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return 0;
	file = malloc(sizeof(*file));
	if (!file)
		return -1;
	*file = (struct named_file){ .ino = st->st_ino, .first = writing->records };
	at = tsearch(file, &writing->files, compare_files);
	if (!at || *at != file)
		free(file);
	if (at && (*at)->first != writing->records)
		*first = (*at)->first;
	return at ? 0 : -1;
}

static const struct source_shm *find_object(const struct source_shms *shms, const struct stat *st)
{
	for (size_t i = 0; S_ISREG(st->st_mode) && i < shms->nr; i++) {
		const struct source_shm *shm = shms->list[i];

		if (!shm->gone && shm->announced && shm->dev == st->st_dev && shm->ino == st->st_ino)
			return shm;
	}
	return NULL;
}

static int put(const struct writing *writing, const void *data, size_t bytes)
{
	return !bytes || fwrite(data, bytes, 1, writing->out) == 1 ? 0 : -1;
}

/** struct xattrs - of one file, as the image has them */
struct xattrs {
	char *data;
	size_t bytes;
};

/* A label of SELinux is of this machine's policy. */
static int add_xattr(struct xattrs *xattrs, const char *path, const char *name)
{
	size_t name_bytes = strlen(name) + 1;
	uint32_t bytes;
	ssize_t n = lgetxattr(path, name, NULL, 0);
	char *data;

	if (!strcmp(name, "security.selinux"))
		return 0;
	data = n < 0 ? NULL : realloc(xattrs->data, xattrs->bytes + name_bytes + sizeof(bytes) + n);
	if (!data)
		return -1;
	xattrs->data = data;
	data += xattrs->bytes;
	bytes = n;
	memcpy(data, name, name_bytes);
	memcpy(data + name_bytes, &bytes, sizeof(bytes));
	if (lgetxattr(path, name, data + name_bytes + sizeof(bytes), n) != n)
		return -1;
	xattrs->bytes += name_bytes + sizeof(bytes) + n;
	return 0;
}

static int read_xattrs(const struct dir_entry *entry, struct xattrs *xattrs)
{
	char path[300], *names;
	ssize_t n;
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", entry->dir_fd, entry->name);
	n = llistxattr(path, NULL, 0);
	if (n <= 0)
		return n && errno != ENOTSUP ? -1 : 0;
	names = malloc(n);
	n = names ? llistxattr(path, names, n) : -1;
	if (n < 0)
		ret = -1;
	for (ssize_t at = 0; !ret && at < n; at += strlen(names + at) + 1)
		ret = add_xattr(xattrs, path, names + at);
	free(names);
	return ret;
}

static int put_link(const struct writing *writing, const struct dir_entry *entry)
{
	char target[TMPFS_LINK_MAX + 1];
	ssize_t n = readlinkat(entry->dir_fd, entry->name, target, sizeof(target));

	if (n != entry->st.st_size) {
		errno = n < 0 ? errno : EIO;
		return -1;
	}
	return put(writing, target, n);
}

static int put_run(struct writing *writing, int fd, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		uint64_t most = end - offset < PIECE_BYTES ? end - offset : PIECE_BYTES;
		ssize_t n = pread(fd, writing->buf, most, offset);
		struct tmpfs_run run = { .offset = offset, .bytes = n };

		if (n <= 0) {
			errno = n ? errno : EIO;
			return -1;
		}
		if (put(writing, &run, sizeof(run)) || put(writing, writing->buf, n))
			return -1;
		writing->cost += tmpfs_run_cost(&run);
		offset += n;
	}
	return 0;
}

static int put_runs(struct writing *writing, int fd)
{
	const struct tmpfs_run last = { 0 };
	off_t at = 0, end = 0;
	int ret = 0;

	while (!ret && (at = lseek(fd, end, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		ret = end < 0 ? -1 : put_run(writing, fd, at, end);
	}
	if (ret || errno != ENXIO)
		return -1;
	return put(writing, &last, sizeof(last));
}

static int put_data(struct writing *writing, const struct dir_entry *entry)
{
	int fd = openat(entry->dir_fd, entry->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int ret = fd < 0 ? -1 : put_runs(writing, fd), saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return ret;
}

static int put_content(struct writing *writing, const struct dir_entry *entry, const struct tmpfs_record *record)
{
	if (S_ISLNK(record->mode))
		return put_link(writing, entry);
	return S_ISREG(record->mode) && !record->object ? put_data(writing, entry) : 0;
}

static int put_record(struct writing *writing, const struct dir_entry *entry,
		      const struct tmpfs_record *record, const struct xattrs *xattrs)
{
	writing->cost += tmpfs_record_cost(record);
	if (put(writing, record, sizeof(*record)) || put(writing, entry->name, record->name_bytes))
		return -1;
	if (record->first)
		return 0;
	return put(writing, xattrs->data, xattrs->bytes) || put_content(writing, entry, record) ? -1 : 0;
}

static int write_entry(void *ctx, const struct dir_entry *entry)
{
	struct writing *writing = ctx;
	const struct source_shm *shm = find_object(writing->shms, &entry->st);
	const struct stat *st = &entry->st;
	struct xattrs xattrs = { 0 };
	struct tmpfs_record record = {
		.mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid, .depth = entry->depth,
		.name_bytes = strlen(entry->name), .object = shm ? shm->object : 0, .names = st->st_nlink,
		.rdev = st->st_rdev, .size = shm ? (uint64_t)shm->st.st_size : (uint64_t)st->st_size,
		.atime = st->st_atim.tv_sec, .atime_ns = st->st_atim.tv_nsec,
		.mtime = st->st_mtim.tv_sec, .mtime_ns = st->st_mtim.tv_nsec,
	};
	int ret, saved;

	writing->records++;
	ret = find_first(writing, st, &record.first) || (!record.first && read_xattrs(entry, &xattrs)) ? -1 : 0;
	record.xattr_bytes = record.first ? 0 : xattrs.bytes;
	if (!ret)
		ret = put_record(writing, entry, &record, &xattrs);
	saved = errno;
	free(xattrs.data);
	errno = saved;
	return ret;
}

static int write_image(struct writing *writing, int root_fd, int dir_fd, size_t nr)
{
	char name[40];
	int fd, ret, saved;

	snprintf(name, sizeof(name), TMPFS_IMAGE_NAME, nr);
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	writing->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!writing->out)
		return -1;
	ret = put(writing, TMPFS_MAGIC_TEXT, strlen(TMPFS_MAGIC_TEXT)) ||
	      dir_walk(root_fd, write_entry, writing) ? -1 : 0;
	saved = errno;
	if (fclose(writing->out) && !ret)
		return -1;
	errno = saved;
	return ret;
}

static int write_one(const struct source_shms *shms, int root_fd, int dir_fd, size_t nr, uint64_t *bytes)
{
	struct writing writing = { .shms = shms, .buf = malloc(PIECE_BYTES) };
	int ret = writing.buf ? write_image(&writing, root_fd, dir_fd, nr) : -1, saved = errno;

	*bytes += writing.cost;
	tdestroy(writing.files, free);
	free(writing.buf);
	errno = saved;
	return ret;
}

int source_tmpfs_write(const struct source_mounts *mounts, const struct source_shms *shms, int dir_fd,
		       uint64_t *bytes, struct error *err)
{
	size_t nr = 0;

	*bytes = 0;
	for (size_t i = 0; mounts->tmpfs && i < mounts->list.nr; i++)
		if (mounts->tmpfs[i] >= 0 && write_one(shms, mounts->tmpfs[i], dir_fd, nr++, bytes))
			return error_errno(err, CODE_TARGET, NULL, "cannot copy the tmpfs on %s",
					   mounts->list.mounts[i].target);
	return 0;
}
