// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "os/proc_files.h"
#include "source/refuse.h"
#include "source/setup_files.h"

/** struct look - whose files, and which of them both machines share; @mounts: of the program */
struct look {
	const struct migrate_options *opts;
	const struct source_mounts *mounts;
	const struct source_process *process;
};

static Migrate__MappedFile *files_add(struct setup_files *all, const char *path,
				      Migrate__FileUse use, const struct stat *st,
				      struct error *err)
{
	Migrate__MappedFile *files = all->files, *file;

	if (all->nr == all->cap) {
		size_t cap = 2 * all->cap + 64;

		files = realloc(all->files, cap * sizeof(*files));
		all->files = files ?: all->files;
		all->cap = files ? cap : all->cap;
	}
	file = files ? &files[all->nr] : NULL;
	if (file) {
		migrate__mapped_file__init(file);
		file->path = strdup(path);
	}
	if (!file || !file->path) {
		error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
		return NULL;
	}
	all->nr++;
	file->use = use;
	file->has_use = true;
	file->has_mode = st != NULL;
	file->mode = st ? st->st_mode : 0;
	file->bytes = st && S_ISREG(st->st_mode) ? st->st_size : 0;
	file->has_any_size = true;
	file->any_size = !st || !S_ISREG(st->st_mode);
	return file;
}

static bool is_plain_path(const char *path)
{
	return path[0] == '/' && !proc_path_is_deleted(path);
}

static int add_mapping(const struct look *look, struct setup_files *all, const struct vma *vma,
		       struct error *err)
{
	bool data = vma->shared && (vma->prot & PROT_WRITE || vma->maywrite);
	const char *path = vma->name;
	Migrate__MappedFile *file;
	char here[PATH_MAX];
	struct stat st;

	/* what has no name any more is carried by CRIU */
	if (vma->anon || vma->hugetlb)
		return 0;
	if (!is_plain_path(path))
		path = renamed_find_gone(&look->process->attached.renamed, path);
	if (!path || !source_mounts_here(look->mounts, path, here) || stat(here, &st) ||
	    !S_ISREG(st.st_mode) ||
	    (vma->shared && file_is_carried(look->opts, look->mounts, path)))
		return 0;
	file = files_add(all, here, data ? MIGRATE__FILE_USE__FILE_DATA :
			 MIGRATE__FILE_USE__FILE_MAPPED, &st, err);
	if (file)
		file->any_size = storage_is_shared(look->opts, look->mounts, path);
	return file ? 0 : -1;
}

/* Terminals are others' or the program's own: neither is a file that must be there. */
static bool is_tty_device(const struct stat *st)
{
	unsigned int major_nr = major(st->st_rdev);

	return S_ISCHR(st->st_mode) && (major_nr == 4 || major_nr == 5 ||
					(major_nr >= 136 && major_nr <= 143));
}

static int add_descriptor(const struct look *look, struct setup_files *all,
			  const struct proc_file *from, struct error *err)
{
	const char *path = is_plain_path(from->path) ? from->path :
			   renamed_find(&look->process->attached.renamed, &from->st);
	mode_t mode = from->st.st_mode;
	Migrate__MappedFile *file;
	char what[16], here[PATH_MAX];

	snprintf(what, sizeof(what), "fd/%d", from->fd);
	if (S_ISREG(mode) && path && file_is_carried(look->opts, look->mounts, path))
		return 0;
	if (!path || !source_mounts_here(look->mounts, path, here) || proc_file_is_deleted(from) ||
	    S_ISSOCK(mode) || is_tty_device(&from->st) || proc_link_is_virtual(from->pid, what))
		return 0;
	file = files_add(all, here, MIGRATE__FILE_USE__FILE_OPEN, &from->st, err);
	if (!file)
		return -1;
	file->has_fd = true;
	file->fd = from->fd;
	/* CRIU does not ask for it: see criu_files_repair() */
	file->any_size |= (from->flags & O_ACCMODE) == O_WRONLY ||
			  storage_is_shared(look->opts, look->mounts, path);
	return 0;
}

/* @what: a link of /proc/PID */
static int add_link(const struct look *look, struct setup_files *all, const char *what,
		    Migrate__FileUse use, struct error *err)
{
	char link[48], path[PATH_MAX], here[PATH_MAX];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/%s", look->process->pid, what);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0 || stat(link, &st))
		return error_errno(err, CODE_TARGET, NULL, "cannot look at %s", link);
	path[n] = 0;
	if (!is_plain_path(path) || !st.st_nlink || proc_link_is_virtual(look->process->pid, what) ||
	    !source_mounts_here(look->mounts, path, here))
		return 0;
	return files_add(all, here, use, &st, err) ? 0 : -1;
}

static int find_all(const struct look *look, struct setup_files *all,
		    const struct proc_files *open_files, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < look->process->mm.vmas.nr && !ret; i++)
		/* a file's text and its data are one file, mapped piece after piece */
		if (!i || strcmp(look->process->mm.vmas.vmas[i].name, look->process->mm.vmas.vmas[i - 1].name) ||
		    look->process->mm.vmas.vmas[i].shared)
			ret = add_mapping(look, all, &look->process->mm.vmas.vmas[i], err);
	for (size_t i = 0; i < open_files->nr && !ret; i++)
		ret = add_descriptor(look, all, &open_files->files[i], err);
	if (!ret && look->opts->replace_tty &&
	    !files_add(all, look->opts->replace_tty, MIGRATE__FILE_USE__FILE_REPLACES_TTY, NULL, err))
		ret = -1;
	return ret || add_link(look, all, "exe", MIGRATE__FILE_USE__FILE_EXE, err) ||
	       add_link(look, all, "cwd", MIGRATE__FILE_USE__FILE_CWD, err) ||
	       add_link(look, all, "root", MIGRATE__FILE_USE__FILE_ROOT, err) ? -1 : 0;
}

/* Where the program has what the destination must have too. */
static int add_mounts(const struct source_mounts *mounts, struct setup_files *all,
		      struct error *err)
{
	struct stat st;

	for (size_t i = 0; mounts && mounts->own && i < mounts->list.nr; i++) {
		Migrate__MappedFile *file;

		if (!mounts->here[i] || stat(mounts->here[i], &st))
			continue;
		file = files_add(all, mounts->here[i], MIGRATE__FILE_USE__FILE_MOUNTED, &st, err);
		if (!file)
			return -1;
		file->any_size = true;
	}
	return 0;
}

static int compare(const void *left, const void *right)
{
	const Migrate__MappedFile *a = left, *b = right;

	return strcmp(a->path, b->path) ?: (int)a->use - (int)b->use;
}

/* What wants most of the file is asked. */
static void merge(struct setup_files *all)
{
	size_t nr = 0;

	if (all->nr)
		qsort(all->files, all->nr, sizeof(*all->files), compare);
	for (size_t i = 0; i < all->nr; i++) {
		Migrate__MappedFile *last = nr ? &all->files[nr - 1] : NULL;

		if (last && !strcmp(last->path, all->files[i].path)) {
			last->any_size &= all->files[i].any_size;
			if (!last->bytes)
				last->bytes = all->files[i].bytes;
			free(all->files[i].path);
		} else {
			all->files[nr++] = all->files[i];
		}
	}
	all->nr = nr;
}

static int list_again(struct setup_files *all, struct error *err)
{
	merge(all);
	free(all->list);
	all->list = calloc(all->nr + 1, sizeof(*all->list));
	if (!all->list)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
	for (size_t i = 0; i < all->nr; i++)
		all->list[i] = &all->files[i];
	return 0;
}

int setup_files_find(const struct migrate_options *opts, const struct source_mounts *mounts,
		     const struct source_process *process, const struct proc_files *open_files, struct setup_files *all,
		     struct error *err)
{
	const struct look look = { .opts = opts, .mounts = mounts, .process = process };

	return find_all(&look, all, open_files, err) || add_mounts(mounts, all, err) ||
	       list_again(all, err) ? -1 : 0;
}

int setup_files_take(struct setup_files *all, struct setup_files *from, struct error *err)
{
	size_t nr = all->nr + from->nr;
	Migrate__MappedFile *files = all->files;

	if (nr > all->cap) {
		files = realloc(files, 2 * nr * sizeof(*files));
		if (!files) {
			setup_files_free(from);
			return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
		}
		all->files = files;
		all->cap = 2 * nr;
	}
	if (from->nr)
		memcpy(files + all->nr, from->files, from->nr * sizeof(*files));
	all->nr = nr;
	/* the paths are those of @all now */
	from->nr = 0;
	setup_files_free(from);
	return list_again(all, err);
}

void setup_files_free(struct setup_files *all)
{
	for (size_t i = 0; i < all->nr; i++)
		free(all->files[i].path);
	free(all->files);
	free(all->list);
	memset(all, 0, sizeof(*all));
}
