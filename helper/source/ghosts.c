// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include "criu/criu.h"
#include "os/proc_files.h"
#include "source/ghosts.h"

#define RESERVE		(32UL << 20)	/* CRIU's other images */
#define MIB		(1UL << 20)

const char ghost_hint[] =
	"let the program close, unmap or truncate it, or give a larger limit: a line \"ghost-limit 4G\" in the file of --criu-config";

static bool is_ghost(const struct ghosts *ghosts, const struct stat *st, const char *name)
{
	return S_ISREG(st->st_mode) && !st->st_nlink && st->st_dev != ghosts->shm_dev &&
	       strncmp(name, "/memfd:", 7) && strncmp(name, "/anon_hugepage", 14);
}

static int add(struct ghosts *ghosts, pid_t pid, const struct stat *st, const char *name,
	       struct error *err)
{
	uint64_t bytes = ghost_bytes(st, ghosts->sparse);
	struct ghost *list;

	if (!is_ghost(ghosts, st, name))
		return 0;
	for (size_t i = 0; i < ghosts->nr; i++)
		if (ghosts->list[i].ino == st->st_ino && ghosts->list[i].dev == st->st_dev)
			return 0;
	list = realloc(ghosts->list, (ghosts->nr + 1) * sizeof(*list));
	if (!list)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of files");
	ghosts->list = list;
	list[ghosts->nr++] = (struct ghost){ .dev = st->st_dev, .ino = st->st_ino };
	ghosts->bytes += ghost_bytes(st, true);
	if (bytes <= ghosts->largest)
		return 0;
	ghosts->largest = bytes;
	ghosts->pid = pid;
	snprintf(ghosts->name, sizeof(ghosts->name), "%s", name);
	return 0;
}

static int take_file(void *ctx, const struct proc_file *file, struct error *err)
{
	return add(ctx, file->pid, &file->st, file->path, err);
}

static int find_mapped(struct ghosts *ghosts, const struct source_process *process,
		       struct error *err)
{
	const struct vma_list *vmas = &process->mm.vmas;

	for (size_t i = 0; i < vmas->nr; i++) {
		const struct vma *vma = &vmas->vmas[i];
		struct stat st;
		char path[96];

		if (!vma->ino || !proc_path_is_deleted(vma->name))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", process->pid, vma->start,
			 vma->end);
		/* a mapping that is gone meanwhile is none */
		if (!stat(path, &st) && add(ghosts, process->pid, &st, vma->name, err))
			return -1;
	}
	return 0;
}

int ghosts_find(struct ghosts *ghosts, const struct tree *tree, struct error *err)
{
	const struct source_process *process;

	tree_for_each(tree, process) {
		struct error ended = { 0 };
		struct proc_files own;
		const struct proc_files *files = source_process_files(process, &own, &ended);
		int ret;

		/* a process that has ended is a matter of the tree */
		if (!files)
			continue;
		ret = proc_files_each(files, take_file, ghosts, err) ||
		      find_mapped(ghosts, process, err);
		proc_files_free(&own);
		if (ret)
			return -1;
	}
	return 0;
}

int ghosts_check(const struct ghosts *ghosts, int images_fd, struct error *err)
{
	uint64_t room, limit = criu_config_ghost_bytes(ghosts->config);
	struct statfs fs;

	if (ghosts->largest > limit)
		return error_set(err, CODE_REFUSED, ghost_hint,
				 "process %d has a deleted file of %lu MiB (%s), more than the %lu MiB that are carried",
				 ghosts->pid, ghosts->largest / MIB, ghosts->name,
				 limit / MIB);
	if (!ghosts->nr || fstatfs(images_fd, &fs))
		return 0;
	room = (uint64_t)fs.f_bavail * fs.f_bsize;
	return room >= ghosts->bytes + RESERVE ? 0 :
	       error_set(err, CODE_REFUSED, "make room, or choose another --images-dir",
			 "CRIU's images have %lu MiB of deleted files, and there are %lu MiB left for them here",
			 ghosts->bytes / MIB, room / MIB);
}

void ghosts_free(struct ghosts *ghosts)
{
	free(ghosts->list);
	memset(ghosts, 0, sizeof(*ghosts));
}
