// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "os/proc_files.h"
#include "source/refuse.h"

#define NAME_BYTES	64

/** struct object - shared memory or a deleted file; @outsider: another process that has it */
struct object {
	dev_t dev;
	uint64_t ino;
	pid_t outsider;
	char name[NAME_BYTES];
};

/** struct objects - the program's objects, sorted */
struct objects {
	const struct inspection *look;
	struct object *objects;
	size_t nr;
};

static int compare(const void *left, const void *right)
{
	const struct object *a = left, *b = right;

	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->dev < b->dev ? -1 : a->dev > b->dev;
}

static int add(struct objects *all, dev_t dev, uint64_t ino, const char *name, struct error *err)
{
	struct object *objects = realloc(all->objects, (all->nr + 1) * sizeof(*objects));

	if (!objects)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
	all->objects = objects;
	objects[all->nr] = (struct object){ .dev = dev, .ino = ino };
	snprintf(objects[all->nr++].name, NAME_BYTES, "%.*s", NAME_BYTES - 1, name);
	return 0;
}

static struct object *find(const struct objects *all, dev_t dev, uint64_t ino)
{
	struct object key = { .dev = dev, .ino = ino };

	return bsearch(&key, all->objects, all->nr, sizeof(key), compare);
}

/*
 * Memory of memfd_create() and shared MAP_ANONYMOUS is named like a deleted file. Linux 6.2 and
 * later show a name that PR_SET_VMA gave in place of "/dev/zero (deleted)".
 */
static bool is_deleted(const char *name)
{
	size_t len = strlen(name);

	return (len > 10 && !strcmp(name + len - 10, " (deleted)")) ||
	       !strncmp(name, "[anon_shmem:", 12);
}

static int take_file(void *ctx, const struct proc_file *file, struct error *err)
{
	if (!S_ISREG(file->st.st_mode) || !proc_file_is_deleted(file))
		return 0;
	return add(ctx, file->st.st_dev, file->st.st_ino, file->path, err);
}

static int take_mappings(struct objects *all, const struct vma_list *vmas, struct error *err)
{
	for (size_t i = 0; i < vmas->nr; i++) {
		const struct vma *vma = &vmas->vmas[i];

		if (vma->shared && is_deleted(vma->name) &&
		    add(all, makedev(vma->major, vma->minor), vma->ino, vma->name, err))
			return -1;
	}
	return 0;
}

static void look_at_file(void *ctx, pid_t pid, int fd, const char *path)
{
	struct objects *all = ctx;
	struct object *object;
	struct stat st;
	char name[48];

	if (!is_deleted(path))
		return;
	snprintf(name, sizeof(name), "/proc/%d/fd/%d", pid, fd);
	object = stat(name, &st) ? NULL : find(all, st.st_dev, st.st_ino);
	if (object && !tree_owns(all->look->tree, pid))
		object->outsider = pid;
}

static void look_at_mappings(struct objects *all, pid_t pid)
{
	struct error ignored = { 0 };
	struct vma_list vmas;

	/* a kernel thread has no mappings, and a process may end during the walk */
	if (maps_read(pid, false, &vmas, &ignored))
		return;
	for (size_t i = 0; i < vmas.nr; i++) {
		const struct vma *vma = &vmas.vmas[i];
		struct object *object = NULL;

		if (vma->shared && is_deleted(vma->name))
			object = find(all, makedev(vma->major, vma->minor), vma->ino);
		if (object && !tree_owns(all->look->tree, pid))
			object->outsider = pid;
	}
	maps_free(&vmas);
}

static void look_outside(struct objects *all, pid_t own)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	qsort(all->objects, all->nr, sizeof(*all->objects), compare);
	proc_links(own, look_at_file, all);
	while (dir && (entry = readdir(dir))) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && pid != own)
			look_at_mappings(all, pid);
	}
	if (dir)
		closedir(dir);
}

int refuse_shared(struct inspection *look, const struct proc_files *files, struct error *err)
{
	struct objects all = { .look = look };
	pid_t pid = look->process->pid;
	int ret = proc_files_each(files, take_file, &all, err);

	if (!ret)
		ret = take_mappings(&all, look->vmas, err);
	if (!ret && all.nr)
		look_outside(&all, pid);
	for (size_t i = 0; !ret && i < all.nr; i++) {
		char comm[32];

		if (!all.objects[i].outsider)
			continue;
		proc_comm(all.objects[i].outsider, comm);
		losses_add(look->losses, LOSS_SHARED_MEMORY, "%s, with process %d (%s)",
			   all.objects[i].name, all.objects[i].outsider, comm);
	}
	free(all.objects);
	return ret;
}
