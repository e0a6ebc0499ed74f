// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "os/proc_files.h"
#include "source/refuse.h"
#include "source/surroundings.h"

#define NAME_BYTES	64

/** struct object - shared memory, a deleted file or one of /dev/shm; @outsider: another process that has it */
struct object {
	dev_t dev;
	uint64_t ino;
	pid_t outsider;
	char name[NAME_BYTES];
};

/** struct objects - the process's objects; @opts: of the user; @mounts: of the program */
struct objects {
	const struct migrate_options *opts;
	const struct source_mounts *mounts;
	struct object *objects;
	size_t nr;
};

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

static int take_file(void *ctx, const struct proc_file *file, struct error *err)
{
	struct objects *all = ctx;

	if (!S_ISREG(file->st.st_mode) ||
	    (!proc_file_is_deleted(file) && !file_is_carried(all->opts, all->mounts, file->path)))
		return 0;
	return add(all, file->st.st_dev, file->st.st_ino, file->path, err);
}

static int take_mappings(struct objects *all, const struct vma_list *vmas, struct error *err)
{
	for (size_t i = 0; i < vmas->nr; i++) {
		const struct vma *vma = &vmas->vmas[i];

		if (vma->shared &&
		    (is_deleted_name(vma->name) ||
		     file_is_carried(all->opts, all->mounts, vma->name)) &&
		    add(all, makedev(vma->major, vma->minor), vma->ino, vma->name, err))
			return -1;
	}
	return 0;
}

/* This helper has shared memory open to read it, and does not map it (source/shm.h). */
static bool is_own_descriptor(const struct holder *holder)
{
	return holder->pid == getpid() && holder->fd >= 0;
}

static int look_outside(const struct inspection *look, struct object *object, struct error *err)
{
	struct holder *holders;
	size_t nr;

	holders = surroundings_holders(look->around, HOLDER_SHARED, object->dev, object->ino, &nr, err);
	for (size_t i = 0; i < nr && !object->outsider; i++)
		if (!is_own_descriptor(&holders[i]) &&
		    surroundings_place(look->around, &holders[i]) == PLACE_OUTSIDE)
			object->outsider = holders[i].pid;
	return error_is_set(err) ? -1 : 0;
}

int refuse_shared(struct inspection *look, const struct proc_files *files, struct error *err)
{
	struct objects all = {
		.opts = look->opts, .mounts = look->tree ? look->tree->mounts : NULL,
	};
	int ret = proc_files_each(files, take_file, &all, err);

	if (!ret)
		ret = take_mappings(&all, look->vmas, err);
	for (size_t i = 0; !ret && i < all.nr; i++) {
		char comm[32];

		ret = look_outside(look, &all.objects[i], err);
		if (ret || !all.objects[i].outsider)
			continue;
		proc_comm(all.objects[i].outsider, comm);
		losses_add(look->losses, LOSS_SHARED_MEMORY, "%s, with process %d (%s)",
			   all.objects[i].name, all.objects[i].outsider, comm);
	}
	free(all.objects);
	return ret;
}
