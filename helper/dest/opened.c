// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/spread.h"
#include "criu/names.h"
#include "dest/opened.h"
#include "os/maps.h"
#include "os/proc_files.h"
#include "os/safe_path.h"

#define LINK_BYTES	64

struct file_id {
	dev_t dev;
	ino_t ino;
};

/** struct look - at restored processes; nothing of @opened changes meanwhile */
struct look {
	const struct opened *opened;
	const pid_t *pids;
};

static int compare_ids(const void *left, const void *right)
{
	const struct file_id *a = left, *b = right;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static bool is_named(const struct opened *opened, const char *path)
{
	return bsearch(&path, opened->names.list, opened->names.nr, sizeof(path), compare_names);
}

/* A name that leads nowhere, or over a user's link, allows no file. What was found before stays allowed. */
static int resolve(struct opened *opened, struct error *err)
{
	struct file_id *ids = reallocarray(opened->ids, opened->nr_ids + opened->names.nr + 1, sizeof(*ids));

	if (!ids)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for the program's files");
	opened->ids = ids;
	for (size_t i = 0; i < opened->names.nr; i++) {
		const char *name = opened->names.list[i];
		int fd = *name == '/' ? safe_path_open("/", name) : -1;
		struct stat st;

		if (fd >= 0 && !fstat(fd, &st))
			ids[opened->nr_ids++] = (struct file_id){ st.st_dev, st.st_ino };
		if (fd >= 0)
			close(fd);
	}
	qsort(ids, opened->nr_ids, sizeof(*ids), compare_ids);
	return 0;
}

/*
 * Most have no name that a user could make, and a program can have thousands of them: shared memory, and files
 * without a name that CRIU has made.
 */
static bool is_kernels_own(const struct vma *vma)
{
	static const char *const names[] = { "/memfd:", "/dev/zero (", "/SYSV", "/anon_hugepage (" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(vma->name, names[i], strlen(names[i])))
			return true;
	return false;
}

/* Of a file system of the kernel's own: in the program's /proc are other files than in ours, with the same names. */
static bool is_kernels(const struct opened *opened, pid_t pid, const char *what, const char *path)
{
	return is_named(opened, path) && proc_link_is_virtual(pid, what);
}

/*
 * CRIU has removed the name by which it opened the file (link-remap), and the file has others. What the kernel shows is
 * the path without any link: it was opened by that very name.
 */
static bool was_named(const struct opened *opened, char *path)
{
	if (!proc_path_is_deleted(path))
		return false;
	*strrchr(path, ' ') = 0;
	if (is_named(opened, path))
		return true;
	path[strlen(path)] = ' ';
	return false;
}

static bool is_terminal(const struct stat *st)
{
	unsigned int number = major(st->st_rdev);

	return S_ISCHR(st->st_mode) && (number == 4 || number == 5 || (number >= 136 && number <= 143));
}

/* @what: a link in /proc/@pid */
static int check_link(const struct opened *opened, pid_t pid, const char *what, struct error *err)
{
	char link[LINK_BYTES + 32], path[PATH_MAX];
	struct file_id id;
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/%s", pid, what);
	if (stat(link, &st))
		return error_errno(err, CODE_INTERNAL, NULL, "cannot look at the restored file %s", link);
	id = (struct file_id){ st.st_dev, st.st_ino };
	/* one without a name came in the images */
	if (!st.st_nlink || is_terminal(&st) ||
	    bsearch(&id, opened->ids, opened->nr_ids, sizeof(id), compare_ids))
		return 0;
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot look at the restored file %s", link);
	path[n] = 0;
	/* "pipe:[7]" and the like have no name */
	if (*path != '/' || is_kernels(opened, pid, what, path) || was_named(opened, path))
		return 0;
	return error_set(err, CODE_REFUSED, "look who can write to the directories of the program's files",
			 "the restored process %d has got %s, which is none of the program's files: a name was changed here while it was restored",
			 pid, path);
}

static int check_descriptors(const struct opened *opened, pid_t pid, struct error *err)
{
	char what[LINK_BYTES];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	snprintf(what, sizeof(what), "/proc/%d/fd", pid);
	dir = opendir(what);
	if (!dir)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot list %s", what);
	while (!ret && (entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(what, sizeof(what), "fd/%.16s", entry->d_name);
		ret = check_link(opened, pid, what, err);
	}
	closedir(dir);
	return ret;
}

static int check_mappings(const struct opened *opened, pid_t pid, struct error *err)
{
	struct vma_list list;
	char what[LINK_BYTES];
	int ret = 0;

	if (maps_read(pid, false, &list, err))
		return -1;
	for (size_t i = 0; i < list.nr && !ret; i++) {
		const struct vma *vma = &list.vmas[i];

		/* pieces of one file follow each other */
		if (*vma->name != '/' || !vma->ino || is_kernels_own(vma) ||
		    (i && !strcmp(vma[-1].name, vma->name) && vma[-1].ino == vma->ino))
			continue;
		snprintf(what, sizeof(what), "map_files/%lx-%lx", vma->start, vma->end);
		ret = check_link(opened, pid, what, err);
	}
	maps_free(&list);
	return ret;
}

static int check_process(void *ctx, size_t at, struct error *err)
{
	const struct look *look = ctx;
	const struct opened *opened = look->opened;
	pid_t pid = look->pids[at];

	return check_link(opened, pid, "exe", err) || check_link(opened, pid, "cwd", err) ||
	       check_link(opened, pid, "root", err) || check_descriptors(opened, pid, err) ||
	       check_mappings(opened, pid, err) ? -1 : 0;
}

int opened_expect(struct opened *opened, int images_dir_fd, struct error *err)
{
	return criu_names_read(images_dir_fd, &opened->names, err) || resolve(opened, err) ? -1 : 0;
}

int opened_check(struct opened *opened, const pid_t *pids, size_t nr, struct error *err)
{
	struct look look = { .opened = opened, .pids = pids };

	if (!spread_run(nr, check_process, &look, err))
		return 0;
	if (err->code != CODE_REFUSED)
		return -1;
	/* a file that took the place of another before CRIU came */
	memset(err, 0, sizeof(*err));
	return resolve(opened, err) || spread_run(nr, check_process, &look, err) ? -1 : 0;
}

void opened_free(struct opened *opened)
{
	criu_names_free(&opened->names);
	free(opened->ids);
	memset(opened, 0, sizeof(*opened));
}
