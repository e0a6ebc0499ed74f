// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/io.h"
#include "dest/tmpfs.h"
#include "os/dir_walk.h"
#include "os/tmpfs.h"
#include "session/tmpfs_image.h"

#define PIECE_BYTES	(1UL << 20)

/** struct open_dir - a directory that is not complete; @path_bytes: of its path, from the root */
struct open_dir {
	int fd;
	size_t path_bytes;
	struct timespec times[2];
};

/**
 * struct taking - one image
 * @dirs: from the root to the directory of the last name; @nr_dirs: how many
 * @path: of the last name, from the root
 * @firsts: of each record, the path when there are more names for its file; NULL: there are none
 */
struct taking {
	FILE *in;
	int root_fd;
	size_t nr;
	struct objects *objects;
	struct budget *budget;
	struct open_dir dirs[DIR_WALK_DEPTH + 1];
	size_t nr_dirs;
	char path[PATH_MAX], name[NAME_MAX + 1];
	char **firsts;
	uint32_t records;
	uint8_t *buf;
};

static int is_malformed(const struct taking *taking, struct error *err)
{
	return error_set(err, CODE_PEER, NULL, "the image of tmpfs %zu is malformed in record %u", taking->nr,
			 taking->records);
}

static int failed(const struct taking *taking, const char *what, struct error *err)
{
	return error_errno(err, CODE_NOT_READY, NULL, "cannot %s %.200s in a tmpfs of the program", what,
			   *taking->path ? taking->path : "the root");
}

static int get(const struct taking *taking, void *data, size_t bytes, struct error *err)
{
	return !bytes || fread(data, bytes, 1, taking->in) == 1 ? 0 : is_malformed(taking, err);
}

static const struct open_dir *top(const struct taking *taking)
{
	return &taking->dirs[taking->nr_dirs - 1];
}

/* What is made in a directory changes its time. */
static int end_dirs(struct taking *taking, size_t depth, struct error *err)
{
	while (taking->nr_dirs > depth) {
		const struct open_dir *dir = &taking->dirs[--taking->nr_dirs];
		int ret = futimens(dir->fd, dir->times);

		if (dir->fd != taking->root_fd)
			close(dir->fd);
		if (ret)
			return failed(taking, "set the times of a directory above", err);
	}
	return 0;
}

static int get_name(struct taking *taking, const struct tmpfs_record *record, struct error *err)
{
	size_t above;

	if (!record->name_bytes || record->name_bytes > NAME_MAX)
		return is_malformed(taking, err);
	if (get(taking, taking->name, record->name_bytes, err))
		return -1;
	taking->name[record->name_bytes] = 0;
	if (!record->depth)
		return strcmp(taking->name, ".") ? is_malformed(taking, err) : 0;
	if (strlen(taking->name) != record->name_bytes || strchr(taking->name, '/') ||
	    !strcmp(taking->name, ".") || !strcmp(taking->name, ".."))
		return is_malformed(taking, err);
	above = top(taking)->path_bytes;
	if (above + record->name_bytes + 2 > sizeof(taking->path))
		return is_malformed(taking, err);
	snprintf(taking->path + above, sizeof(taking->path) - above, "%s%s", above ? "/" : "", taking->name);
	return 0;
}

static int open_dir(struct taking *taking, const struct tmpfs_record *record, struct error *err)
{
	struct open_dir *dir = &taking->dirs[taking->nr_dirs];

	*dir = (struct open_dir){
		.fd = record->depth ? openat(top(taking)->fd, taking->name,
					     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : taking->root_fd,
		.path_bytes = record->depth ? strlen(taking->path) : 0,
		.times = { { record->atime, record->atime_ns }, { record->mtime, record->mtime_ns } },
	};
	if (dir->fd < 0)
		return failed(taking, "open", err);
	taking->nr_dirs++;
	return 0;
}

static int make_link(struct taking *taking, const struct tmpfs_record *record, struct error *err)
{
	char target[TMPFS_LINK_MAX + 1];

	if (record->size > TMPFS_LINK_MAX)
		return is_malformed(taking, err);
	if (get(taking, target, record->size, err))
		return -1;
	target[record->size] = 0;
	return symlinkat(target, top(taking)->fd, taking->name) ? failed(taking, "make the link", err) : 0;
}

static int get_run(struct taking *taking, int fd, const struct tmpfs_run *run, struct error *err)
{
	uint64_t left = run->bytes;

	while (left) {
		size_t bytes = left < PIECE_BYTES ? left : PIECE_BYTES;

		if (get(taking, taking->buf, bytes, err))
			return -1;
		if (io_pwrite_all(fd, taking->buf, bytes, run->offset + run->bytes - left))
			return failed(taking, "write", err);
		left -= bytes;
	}
	return 0;
}

static int get_runs(struct taking *taking, int fd, uint64_t size, struct error *err)
{
	struct tmpfs_run run;

	for (;;) {
		if (get(taking, &run, sizeof(run), err))
			return -1;
		if (!run.bytes)
			return 0;
		if (run.offset >= size || run.bytes > size - run.offset)
			return is_malformed(taking, err);
		if (budget_take(taking->budget, BUDGET_IMAGES, tmpfs_run_cost(&run), err) || get_run(taking, fd, &run, err))
			return -1;
	}
}

static int make_file(struct taking *taking, const struct tmpfs_record *record, struct error *err)
{
	int fd, ret;

	if (record->size > INT64_MAX)
		return is_malformed(taking, err);
	fd = openat(top(taking)->fd, taking->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed(taking, "make", err);
	ret = ftruncate(fd, record->size) ? failed(taking, "set the size of", err) :
	      get_runs(taking, fd, record->size, err);
	close(fd);
	return ret;
}

static int name_object(struct taking *taking, const struct tmpfs_record *record, struct error *err)
{
	struct mm *mm = objects_mm(taking->objects, record->object);
	char path[48];
	struct stat st, root;

	if (!mm || mm_is_gone(mm) || !mm->mirror.in_tmpfs || fstat(mm->mirror.fd, &st) ||
	    fstat(taking->root_fd, &root) || st.st_dev != root.st_dev || st.st_nlink || (uint64_t)st.st_size != record->size)
		return is_malformed(taking, err);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mm->mirror.fd);
	return linkat(AT_FDCWD, path, top(taking)->fd, taking->name, AT_SYMLINK_FOLLOW) ?
	       failed(taking, "name", err) : 0;
}

static int make(struct taking *taking, const struct tmpfs_record *record, struct error *err)
{
	int dir_fd = record->depth ? top(taking)->fd : -1;

	switch (record->mode & S_IFMT) {
	case S_IFDIR:
		if (record->depth && mkdirat(dir_fd, taking->name, 0700))
			return failed(taking, "make", err);
		return 0;
	case S_IFLNK:
		return make_link(taking, record, err);
	case S_IFREG:
		return record->object ? name_object(taking, record, err) : make_file(taking, record, err);
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return mknodat(dir_fd, taking->name, (record->mode & S_IFMT) | 0600, record->rdev) ?
		       failed(taking, "make", err) : 0;
	default:
		return is_malformed(taking, err);
	}
}

/* A record has them before the data, and a file without data cannot have them. */
static int get_xattrs(struct taking *taking, const struct tmpfs_record *record, char **xattrs, struct error *err)
{
	*xattrs = NULL;
	if (!record->xattr_bytes)
		return 0;
	if (record->xattr_bytes > TMPFS_XATTRS_MAX)
		return is_malformed(taking, err);
	*xattrs = malloc(record->xattr_bytes);
	return *xattrs ? get(taking, *xattrs, record->xattr_bytes, err) :
	       error_errno(err, CODE_INTERNAL, NULL, "no memory for attributes");
}

static int set_xattrs(const struct taking *taking, const char *path, const char *xattrs, size_t bytes,
		      struct error *err)
{
	while (bytes) {
		size_t name_bytes = strnlen(xattrs, bytes) + 1;
		uint32_t value_bytes;

		if (name_bytes > bytes || bytes - name_bytes < sizeof(value_bytes))
			return is_malformed(taking, err);
		memcpy(&value_bytes, xattrs + name_bytes, sizeof(value_bytes));
		if (value_bytes > bytes - name_bytes - sizeof(value_bytes))
			return is_malformed(taking, err);
		if (lsetxattr(path, xattrs, xattrs + name_bytes + sizeof(value_bytes), value_bytes, 0))
			return failed(taking, "set an extended attribute of", err);
		xattrs += name_bytes + sizeof(value_bytes) + value_bytes;
		bytes -= name_bytes + sizeof(value_bytes) + value_bytes;
	}
	return 0;
}

/* The directory above has its default ACL by then, and gives it to what is made there. */
static void forget_inherited(const char *path)
{
	lremovexattr(path, "system.posix_acl_access");
	lremovexattr(path, "system.posix_acl_default");
}

/* The kernel takes S_ISUID, and capabilities, away from a file that gets another owner. */
static int set_attributes(const struct taking *taking, const struct tmpfs_record *record, const char *xattrs,
			  struct error *err)
{
	const struct timespec times[2] = { { record->atime, record->atime_ns }, { record->mtime, record->mtime_ns } };
	int dir_fd = record->depth ? top(taking)->fd : taking->root_fd;
	char path[NAME_MAX + 32];

	if (fchownat(dir_fd, taking->name, record->uid, record->gid, AT_SYMLINK_NOFOLLOW) ||
	    (!S_ISLNK(record->mode) && fchmodat(dir_fd, taking->name, record->mode & 07777, 0)))
		return failed(taking, "set owner and mode of", err);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, taking->name);
	forget_inherited(path);
	if (set_xattrs(taking, path, xattrs, record->xattr_bytes, err))
		return -1;
	return !S_ISDIR(record->mode) && utimensat(dir_fd, taking->name, times, AT_SYMLINK_NOFOLLOW) ?
	       failed(taking, "set the times of", err) : 0;
}

static int name_again(struct taking *taking, const struct tmpfs_record *record, struct error *err)
{
	const char *first;

	if (record->first >= taking->records || !record->depth)
		return is_malformed(taking, err);
	first = taking->firsts[record->first - 1];
	if (!first)
		return is_malformed(taking, err);
	return linkat(taking->root_fd, first, top(taking)->fd, taking->name, 0) ? failed(taking, "make", err) : 0;
}

static int count_record(struct taking *taking, struct error *err)
{
	char **firsts = reallocarray(taking->firsts, taking->records + 1, sizeof(*firsts));

	if (!firsts)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
	taking->firsts = firsts;
	firsts[taking->records++] = NULL;
	return 0;
}

static int note_first(struct taking *taking, const struct tmpfs_record *record, struct error *err)
{
	char **first = &taking->firsts[taking->records - 1];

	if (S_ISDIR(record->mode) || record->names < 2 || record->first)
		return 0;
	*first = strdup(taking->path);
	return *first ? 0 : error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
}

static int take_new(struct taking *taking, const struct tmpfs_record *record, struct error *err)
{
	char *xattrs;
	int ret;

	ret = get_xattrs(taking, record, &xattrs, err) || make(taking, record, err) ||
	      set_attributes(taking, record, xattrs, err) ||
	      (S_ISDIR(record->mode) && open_dir(taking, record, err)) ? -1 : 0;
	free(xattrs);
	return ret;
}

static bool is_in_order(const struct taking *taking, const struct tmpfs_record *record)
{
	if (taking->records == 1)
		return !record->depth && S_ISDIR(record->mode) && !record->first;
	return record->depth && record->depth <= taking->nr_dirs && record->depth <= DIR_WALK_DEPTH;
}

static int take_record(struct taking *taking, const struct tmpfs_record *record, struct error *err)
{
	if (count_record(taking, err) || budget_take(taking->budget, BUDGET_IMAGES, tmpfs_record_cost(record), err))
		return -1;
	if (!is_in_order(taking, record))
		return is_malformed(taking, err);
	if (end_dirs(taking, record->depth, err) || get_name(taking, record, err) || note_first(taking, record, err))
		return -1;
	return record->first ? name_again(taking, record, err) : take_new(taking, record, err);
}

static int take_all(struct taking *taking, struct error *err)
{
	char magic[sizeof(TMPFS_MAGIC_TEXT) - 1];
	struct tmpfs_record record;
	size_t n;

	if (get(taking, magic, sizeof(magic), err))
		return -1;
	if (memcmp(magic, TMPFS_MAGIC_TEXT, sizeof(magic)))
		return is_malformed(taking, err);
	while ((n = fread(&record, 1, sizeof(record), taking->in)) == sizeof(record))
		if (take_record(taking, &record, err))
			return -1;
	return n || !taking->records ? is_malformed(taking, err) : end_dirs(taking, 0, err);
}

int tmpfs_take_image(int in, int root_fd, size_t nr, struct objects *objects, struct budget *budget, struct error *err)
{
	struct taking *taking = calloc(1, sizeof(*taking));
	int ret = -1;

	if (taking) {
		*taking = (struct taking){
			.in = fdopen(dup(in), "r"), .root_fd = root_fd, .nr = nr, .objects = objects, .budget = budget,
			.buf = malloc(PIECE_BYTES),
		};
		if (taking->in && taking->buf)
			ret = take_all(taking, err);
		end_dirs(taking, 0, &(struct error){ 0 });
		for (uint32_t i = 0; i < taking->records && taking->firsts; i++)
			free(taking->firsts[i]);
		free(taking->firsts);
		free(taking->buf);
		if (taking->in)
			fclose(taking->in);
	}
	free(taking);
	return !ret || error_is_set(err) ? ret : error_errno(err, CODE_INTERNAL, NULL, "cannot read the image of a tmpfs");
}

static int take_one(const struct mounts *mounts, struct objects *objects, int images_fd, size_t nr,
		    struct budget *budget, struct error *err)
{
	char name[40];
	int in, root_fd, ret;

	snprintf(name, sizeof(name), TMPFS_IMAGE_NAME, nr);
	in = openat(images_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0)
		return error_set(err, CODE_PEER, NULL, "the source did not send the image %s", name);
	root_fd = openat(mounts->tmpfs[nr], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = root_fd < 0 ? error_errno(err, CODE_INTERNAL, NULL, "cannot open a tmpfs") :
	      tmpfs_take_image(in, root_fd, nr, objects, budget, err);
	if (root_fd >= 0)
		close(root_fd);
	close(in);
	if (!ret && tmpfs_limit(mounts->tmpfs[nr], mounts->options[nr]))
		ret = error_errno(err, CODE_NOT_READY, NULL, "cannot give a tmpfs of the program its limits (%.200s)",
				  mounts->options[nr]);
	/* CRIU needs none of it */
	unlinkat(images_fd, name, 0);
	return ret;
}

int tmpfs_take_images(const struct mounts *mounts, struct objects *objects, int images_fd, struct budget *budget,
		      struct error *err)
{
	struct mm *mm = NULL;
	struct stat st;

	for (size_t i = 0; i < mounts->nr_tmpfs; i++)
		if (take_one(mounts, objects, images_fd, i, budget, err))
			return -1;
	while ((mm = objects_next(objects, mm)))
		if (mm->mirror.in_tmpfs && (fstat(mm->mirror.fd, &st) || !st.st_nlink))
			return error_set(err, CODE_PEER, NULL, "object %u has no name in its tmpfs", mm->id);
	return 0;
}
