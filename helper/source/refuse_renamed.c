// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "os/proc_files.h"
#include "source/refuse.h"

static const char hint_link[] = "make a name for it in the directory where it was (ln)";

struct walk {
	struct inspection *look;
	struct refusals *refusals;
};

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

const char *renamed_find(const struct renamed *all, const struct stat *st)
{
	for (size_t i = 0; i < all->nr; i++)
		if (all->files[i].ino == st->st_ino && all->files[i].dev == st->st_dev)
			return all->names[i].path;
	return NULL;
}

/* Device and inode of a mapping are not those of stat() on some file systems. */
const char *renamed_find_gone(const struct renamed *all, const char *gone)
{
	for (size_t i = 0; i < all->nr; i++)
		if (!strcmp(all->files[i].gone, gone))
			return all->names[i].path;
	return NULL;
}

int renamed_check(const struct renamed *all, struct error *err)
{
	struct stat now;

	for (size_t i = 0; i < all->nr; i++)
		if (lstat(all->names[i].path, &now) || now.st_ino != all->files[i].ino ||
		    now.st_dev != all->files[i].dev)
			return error_set(err, CODE_REFUSED, hint_link,
					 "%s does not lead any more to the file that the program uses as %s",
					 all->names[i].path, all->files[i].gone);
	return 0;
}

void renamed_free(struct renamed *all)
{
	for (size_t i = 0; i < all->nr; i++) {
		criu_rename_free(&all->names[i]);
		free(all->files[i].gone);
	}
	free(all->names);
	free(all->files);
	memset(all, 0, sizeof(*all));
}

/* The first name in directory @path that leads to the file. */
static bool search(const char *path, const struct stat *st, char name[NAME_MAX + 1])
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = false;
	struct stat other;

	while (dir && !found && (entry = readdir(dir))) {
		found = entry->d_ino == st->st_ino &&
			!fstatat(dirfd(dir), entry->d_name, &other, AT_SYMLINK_NOFOLLOW) &&
			is_same(&other, st);
		snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* "/srv/x (deleted)" is "/srv/y": another name in the same directory; NULL: there is none */
static char *other_name(const char *deleted, const struct stat *st)
{
	char dir[PATH_MAX], name[NAME_MAX + 1], *slash, *path;

	snprintf(dir, sizeof(dir), "%s", deleted);
	slash = strrchr(dir, '/');
	if (!slash)
		return NULL;
	slash[slash == dir] = 0;
	if (!search(dir, st, name) || asprintf(&path, "%s%s%s", dir, slash == dir ? "" : "/", name) < 0)
		return NULL;
	return path;
}

static int no_memory(struct error *err)
{
	return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
}

/* @path: from malloc() */
static int add(struct renamed *all, const struct stat *st, unsigned int mount, const char *gone,
	       char *path, struct error *err)
{
	struct criu_rename *names = realloc(all->names, (all->nr + 1) * sizeof(*names));
	struct renamed_file *files = realloc(all->files, (all->nr + 1) * sizeof(*files));
	char external[48];

	all->names = names ?: all->names;
	all->files = files ?: all->files;
	if (!names || !files) {
		free(path);
		return no_memory(err);
	}
	/* as CRIU calls it */
	snprintf(external, sizeof(external), "file[%x:%" PRIx64 "]", mount, (uint64_t)st->st_ino);
	names[all->nr] = (struct criu_rename){ strdup(external), path };
	files[all->nr] = (struct renamed_file){ st->st_dev, st->st_ino, strdup(gone) };
	all->nr++;
	return names[all->nr - 1].external && files[all->nr - 1].gone ? 0 : no_memory(err);
}

static bool is_renamed(const char *path, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink && path[0] == '/' && proc_path_is_deleted(path);
}

static int take(const struct walk *walk, const char *what, const char *deleted,
		const struct stat *st, unsigned int mount, struct error *err)
{
	struct renamed *all = &walk->look->attached->renamed;
	char *path;

	if (renamed_find(all, st))
		return 0;
	path = other_name(deleted, st);
	if (path)
		return add(all, st, mount, deleted, path, err);
	refuse(walk->refusals, hint_link,
	       "%s is a file whose name is gone and which has another one, in another directory: %s",
	       what, deleted);
	return 0;
}

static int take_file(void *ctx, const struct proc_file *file, struct error *err)
{
	unsigned int mount;
	char what[32];

	if (!is_renamed(file->path, &file->st) || !proc_fd_mount(file->pid, file->fd, &mount))
		return 0;
	snprintf(what, sizeof(what), "descriptor %d", file->fd);
	return take(ctx, what, file->path, &file->st, mount, err);
}

static int take_mapping(const struct walk *walk, const struct vma *vma, struct error *err)
{
	unsigned int mount;
	char what[64];
	struct stat st;
	int fd, ret = 0;

	if (vma->anon || vma->name[0] != '/' || !proc_path_is_deleted(vma->name))
		return 0;
	snprintf(what, sizeof(what), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64,
		 walk->look->process->pid, vma->start, vma->end);
	fd = open(what, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return 0;
	snprintf(what, sizeof(what), "mapping 0x%" PRIx64, vma->start);
	if (!fstat(fd, &st) && is_renamed(vma->name, &st) && proc_fd_mount(getpid(), fd, &mount))
		ret = take(walk, what, vma->name, &st, mount, err);
	close(fd);
	return ret;
}

int refuse_renamed(struct inspection *look, const struct proc_files *files,
		   struct refusals *refusals, struct error *err)
{
	struct walk walk = { .look = look, .refusals = refusals };
	int ret;

	renamed_free(&look->attached->renamed);
	ret = proc_files_each(files, take_file, &walk, err);
	for (size_t i = 0; !ret && i < look->vmas->nr; i++)
		ret = take_mapping(&walk, &look->vmas->vmas[i], err);
	return ret;
}
