// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/spread.h"
#include "criu/names.h"
#include "dest/opened.h"
#include "os/maps.h"
#include "os/memfs.h"
#include "os/proc_files.h"
#include "os/safe_path.h"

#define LINK_BYTES	64

/** struct file_id - @fd: O_PATH; -1: of a file that is looked for */
struct file_id {
	dev_t dev;
	ino_t ino;
	int fd;
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
			ids[opened->nr_ids++] = (struct file_id){ st.st_dev, st.st_ino, fd };
		else if (fd >= 0)
			close(fd);
	}
	qsort(ids, opened->nr_ids, sizeof(*ids), compare_ids);
	return 0;
}

static bool is_hugetlb(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == HUGETLBFS_MAGIC;
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

/* Does @name, of the images, lead to a file @base in the directory @dir? Links that root has made are followed. */
static bool leads_to(const char *name, const char *dir, const char *base)
{
	const char *slash = strrchr(name, '/');
	char link[LINK_BYTES], parent[PATH_MAX];
	ssize_t n = -1;
	int fd;

	if (!slash || *name != '/' || strcmp(slash + 1, base) || slash - name >= PATH_MAX)
		return false;
	snprintf(parent, sizeof(parent), "%.*s", slash == name ? 1 : (int)(slash - name), name);
	fd = safe_path_open("/", parent);
	if (fd < 0)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, parent, sizeof(parent) - 1);
	close(fd);
	return n > 0 && (size_t)n == strlen(dir) && !memcmp(parent, dir, n);
}

/*
 * CRIU makes a file that has no name at the source as NAME.cr.NUMBER.ghost, and takes that name away. The kernel shows the
 * directory in which it did so: a file to which a user's link led has another.
 */
static bool is_ghost(const struct opened *opened, const char *shown)
{
	char path[PATH_MAX], *end, *slash, *ghost;

	snprintf(path, sizeof(path), "%s", shown);
	end = proc_path_is_deleted(path) ? strrchr(path, ' ') : NULL;
	slash = strrchr(path, '/');
	if (!end || !slash || slash > end)
		return false;
	*end = 0;
	ghost = strstr(slash, ".cr.");
	while (ghost && strstr(ghost + 1, ".cr."))
		ghost = strstr(ghost + 1, ".cr.");
	end = ghost ? strrchr(ghost, '.') : NULL;
	if (!end || strcmp(end, ".ghost") || strspn(ghost + 4, "0123456789abcdef") != (size_t)(end - ghost - 4))
		return false;
	*ghost = 0;
	if (is_named(opened, path))
		return true;
	*slash = 0;
	for (size_t i = 0; i < opened->names.nr; i++)
		if (leads_to(opened->names.list[i], slash == path ? "/" : path, slash + 1))
			return true;
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
	id = (struct file_id){ st.st_dev, st.st_ino, -1 };
	if (st.st_dev == opened->shm_dev || (!st.st_nlink && is_hugetlb(link)) || is_terminal(&st) ||
	    bsearch(&id, opened->ids, opened->nr_ids, sizeof(id), compare_ids))
		return 0;
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return error_errno(err, CODE_INTERNAL, NULL, "cannot look at the restored file %s", link);
	path[n] = 0;
	/* "pipe:[7]" and the like have no name */
	if (*path != '/' || is_kernels(opened, pid, what, path) || was_named(opened, path))
		return 0;
	if (!st.st_nlink && is_ghost(opened, path))
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

		/* pieces of one file follow each other; a program can have thousands of pieces of shared memory */
		if (*vma->name != '/' || !vma->ino || makedev(vma->major, vma->minor) == opened->shm_dev ||
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
	return memfs_kernels_device(&opened->shm_dev, err) || criu_names_read(images_dir_fd, &opened->names, err) || resolve(opened, err) ? -1 : 0;
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
	for (size_t i = 0; i < opened->nr_ids; i++)
		close(opened->ids[i].fd);
	free(opened->ids);
	memset(opened, 0, sizeof(*opened));
}
