// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include "os/proc_files.h"
#include "source/refuse.h"

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

bool storage_is_shared(const struct migrate_options *opts, const struct source_mounts *mounts,
		       const char *path)
{
	char real[PATH_MAX], here[PATH_MAX];

	if (!source_mounts_here(mounts, path, here))
		return false;
	path = here;
	for (size_t i = 0; i < opts->nr_shared_storage; i++) {
		const char *dir = opts->shared_storage[i];

		/* the kernel's @path has no symbolic links; the user's @dir may have some */
		if (is_below(path, dir) || (realpath(dir, real) && is_below(path, real)))
			return true;
	}
	return false;
}

bool file_is_carried(const struct migrate_options *opts, const struct source_mounts *mounts,
		     const char *path)
{
	static const char dir[] = "/dev/shm/";
	char here[PATH_MAX];
	struct statfs fs;

	/* the images have the program's path, and the object has this helper's */
	return source_mounts_here(mounts, path, here) && !strcmp(here, path) && !strncmp(path, dir, strlen(dir)) && !strchr(path + strlen(dir), '/') &&
	       !proc_path_is_deleted(path) && !storage_is_shared(opts, mounts, path) &&
	       !statfs(dir, &fs) && fs.f_type == TMPFS_MAGIC;
}

/* What the program writes to the file is at the destination, or need not be. */
static bool is_kept(const struct inspection *look, const char *path)
{
	const struct source_mounts *mounts = look->tree ? look->tree->mounts : NULL;
	char here[PATH_MAX];

	return !source_mounts_here(mounts, path, here) || storage_is_shared(look->opts, mounts, path) ||
	       file_is_carried(look->opts, mounts, path);
}

static void find_ghost_xattrs(struct inspection *look, const struct proc_file *file)
{
	char path[48], names[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", look->process->pid, file->fd);
	n = listxattr(path, names, sizeof(names));
	/* the destination's file system gives a label of SELinux by itself */
	if (n > 0 && strcmp(names, "security.selinux"))
		losses_add(look->losses, LOSS_GHOST_XATTRS, "descriptor %d is %s", file->fd,
			   file->path);
}

static int find_file(void *ctx, const struct proc_file *file, struct error *err)
{
	struct inspection *look = ctx;
	int access = file->flags & O_ACCMODE;
	char what[16];

	if (!S_ISREG(file->st.st_mode) || file->path[0] != '/' || file->flags & O_PATH)
		return 0;
	if (proc_file_is_deleted(file)) {
		find_ghost_xattrs(look, file);
		return 0;
	}
	snprintf(what, sizeof(what), "fd/%d", file->fd);
	if (access == O_RDONLY || is_kept(look, file->path) ||
	    proc_link_is_virtual(look->process->pid, what))
		return 0;
	if (file->flags & O_APPEND && access == O_WRONLY)
		losses_add(look->losses, LOSS_APPENDED_FILE, "descriptor %d is %s", file->fd,
			   file->path);
	else
		losses_add(look->losses, LOSS_WRITABLE_FILE, "descriptor %d is %s", file->fd,
			   file->path);
	return 0;
}

void refuse_mappings(struct inspection *look, const struct vma_list *vmas)
{
	for (size_t i = 0; i < vmas->nr; i++) {
		const struct vma *vma = &vmas->vmas[i];

		if (!vma->shared || !(vma->prot & PROT_WRITE || vma->maywrite) || vma->io ||
		    vma->hugetlb || vma->name[0] != '/' ||
		    (proc_path_is_deleted(vma->name) &&
		     !renamed_find_gone(&look->attached->renamed, vma->name)) ||
		    (!strncmp(vma->name, "/dev/", 5) && strncmp(vma->name, "/dev/shm/", 9)) ||
		    is_kept(look, vma->name))
			continue;
		losses_add(look->losses, LOSS_SHARED_MAPPING, "%s", vma->name);
	}
}

int refuse_files(struct inspection *look, const struct proc_files *files, struct error *err)
{
	return proc_files_each(files, find_file, look, err);
}
