// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/spread.h"
#include "os/mount_list.h"
#include "source/kernel_files.h"

#define LOOKS		6
#define LOOK_NS		10000000

static bool is_kernels(const struct kernel_places *places, const char *path)
{
	if (!strncmp(path, "/proc/", 6) || !strncmp(path, "/sys/", 5))
		return true;
	for (size_t i = 0; i < places->nr; i++)
		if (path_below(path, places->list[i]))
			return true;
	return false;
}

static void places_free(struct kernel_places *places)
{
	for (size_t i = 0; i < places->nr; i++)
		free(places->list[i]);
	free(places->list);
	memset(places, 0, sizeof(*places));
}

static int places_add(struct kernel_places *places, const char *target)
{
	char **list = reallocarray(places->list, places->nr + 1, sizeof(*list));

	if (!list)
		return -1;
	places->list = list;
	list[places->nr] = strdup(target);
	if (!list[places->nr])
		return -1;
	places->nr++;
	return 0;
}

/* A container's monitor often has the machine's /proc elsewhere. A process that has ended has no mounts. */
static int places_read(struct kernel_places *places, pid_t pid, struct error *err)
{
	struct mount_list mounts;
	char path[48];
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	if (!mount_list_read(&mounts, path, &(struct error){ 0 }))
		for (size_t i = 0; i < mounts.nr && !ret; i++)
			if (!strcmp(mounts.mounts[i].type, "proc") || !strcmp(mounts.mounts[i].type, "sysfs"))
				ret = places_add(places, mounts.mounts[i].target);
	mount_list_free(&mounts);
	return ret ? error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of mounts") : 0;
}

static int add(struct kernel_files *files, pid_t pid, int fd, const char *path)
{
	struct kernel_file *list = reallocarray(files->list, files->nr + 1, sizeof(*list));

	if (!list)
		return -1;
	files->list = list;
	list[files->nr] = (struct kernel_file){ .pid = pid, .fd = fd, .path = strdup(path) };
	return list[files->nr++].path ? 0 : -1;
}

/* The text of a link is all that is asked for: the program may stand. A process that has ended has none. */
static int read_process(struct kernel_files *files, const struct kernel_places *places, pid_t pid)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && !ret && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, path, sizeof(path) - 1);

		if (n < 0)
			continue;
		path[n] = 0;
		if (is_kernels(places, path))
			ret = add(files, pid, atoi(entry->d_name), path);
	}
	if (dir)
		closedir(dir);
	return ret;
}

/** struct look - at all processes; @files: of each */
struct look {
	const struct tree *tree;
	const struct kernel_places *places;
	struct kernel_files *files;
};

static int look_at(void *ctx, size_t at, struct error *err)
{
	const struct look *look = ctx;
	const struct source_process *process = look->tree->processes[at];

	if (process->gone || !read_process(&look->files[at], look->places, process->pid))
		return 0;
	return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
}

/* Return: -1 without memory; nothing of @from is left */
static int join(struct kernel_files *files, struct kernel_files *from, size_t nr)
{
	struct kernel_file *list;
	size_t all = 0;
	int ret = 0;

	for (size_t i = 0; i < nr; i++)
		all += from[i].nr;
	list = all ? calloc(all, sizeof(*list)) : NULL;
	if (all && !list)
		ret = -1;
	for (size_t i = 0; i < nr && list; i++) {
		if (from[i].nr)
			memcpy(list + files->nr, from[i].list, from[i].nr * sizeof(*list));
		files->nr += from[i].nr;
		free(from[i].list);
		from[i] = (struct kernel_files){ 0 };
	}
	files->list = list;
	for (size_t i = 0; i < nr; i++)
		kernel_files_free(&from[i]);
	return ret;
}

/* @files: empty */
static int read_all(struct kernel_files *files, const struct tree *tree, const struct kernel_places *places,
		    struct error *err)
{
	struct look look = { .tree = tree, .places = places, .files = calloc(tree->nr + 1, sizeof(*look.files)) };
	int ret = look.files ? spread_run(tree->nr, look_at, &look, err) :
		  error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");

	if (look.files && join(files, look.files, tree->nr) && !ret)
		ret = error_set(err, CODE_INTERNAL, NULL, "no memory for a list of files");
	free(look.files);
	return ret;
}

/* A child has what its parent keeps open, under the same number. */
static bool has(const struct kernel_files *files, const struct kernel_file *file)
{
	for (size_t i = 0; i < files->nr; i++)
		if (files->list[i].fd == file->fd &&
		    !strcmp(files->list[i].path, file->path))
			return true;
	return false;
}

static void keep_common(struct kernel_files *files, const struct kernel_files *now)
{
	size_t nr = 0;

	for (size_t i = 0; i < files->nr; i++) {
		if (has(now, &files->list[i]))
			files->list[nr++] = files->list[i];
		else
			free(files->list[i].path);
	}
	files->nr = nr;
}

int kernel_files_learn(struct kernel_files *files, const struct tree *tree, struct error *err)
{
	const struct timespec tick = { .tv_nsec = LOOK_NS };
	int ret = places_read(&files->places, tree_root(tree)->pid, err) ||
		  read_all(files, tree, &files->places, err) ? -1 : 0;

	for (int i = 1; i < LOOKS && files->nr && !ret; i++) {
		struct kernel_files now = { 0 };

		nanosleep(&tick, NULL);
		ret = read_all(&now, tree, &files->places, err);
		if (!ret)
			keep_common(files, &now);
		kernel_files_free(&now);
	}
	return ret;
}

int kernel_files_find_new(const struct kernel_files *known, const struct tree *tree, pid_t *pid,
			  struct error *err)
{
	struct kernel_files now = { 0 };
	int ret = read_all(&now, tree, &known->places, err);

	*pid = 0;
	for (size_t i = 0; i < now.nr && !*pid && !ret; i++)
		if (!has(known, &now.list[i]))
			*pid = now.list[i].pid;
	kernel_files_free(&now);
	return ret;
}

void kernel_files_free(struct kernel_files *files)
{
	for (size_t i = 0; i < files->nr; i++)
		free(files->list[i].path);
	free(files->list);
	places_free(&files->places);
	memset(files, 0, sizeof(*files));
}
