// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "os/dir_walk.h"
#include "os/proc.h"
#include "os/tmpfs.h"
#include "source/tmpfs.h"

#define LARGE_BYTES	(256UL << 10)	/* a smaller file is sent faster than it is compared */

/* CRIU restores the groups of its own mounts. */
static bool is_alone(const struct mount_list *list, size_t nr)
{
	for (size_t i = 0; i < list->nr; i++) {
		const struct mount_entry *mount = &list->mounts[i];

		if (mount->dev == list->mounts[nr].dev && (mount->shared || mount->master))
			return false;
		if (i != nr && !strcmp(mount->target, list->mounts[nr].target))
			return false;
		/* one of them comes from outside, and CRIU makes the others of it */
		if (i < nr && mount->dev == list->mounts[nr].dev && !strcmp(mount->root, "/"))
			return false;
	}
	return true;
}

static bool is_ours(const struct source_mounts *mounts, const struct criu_config *config, size_t nr)
{
	const struct mount_entry *mount = &mounts->list.mounts[nr];

	return source_mounts_is_own_tmpfs(mounts, config, nr) && strcmp(mount->target, "/") &&
	       is_alone(&mounts->list, nr) && tmpfs_can_be_made(mount->options, mount->flags);
}

int source_tmpfs_find(struct source_mounts *mounts, const struct criu_config *config, pid_t pid, struct error *err)
{
	/* what the root of another user namespace mounts has its rights, and not those of this machine */
	bool ours = proc_ns(pid, "user") == proc_ns(0, "user");

	mounts->tmpfs = calloc(mounts->list.nr + 1, sizeof(*mounts->tmpfs));
	if (!mounts->tmpfs)
		return error_errno(err, CODE_INTERNAL, NULL, "no memory for a list of mounts");
	for (size_t i = 0; i < mounts->list.nr; i++) {
		mounts->tmpfs[i] = -1;
		if (ours && is_ours(mounts, config, i))
			mounts->tmpfs[i] = tmpfs_open(pid, mounts->list.mounts[i].target,
						      mounts->list.mounts[i].dev);
	}
	return 0;
}

/** struct finding_files - large files of tmpfs @nr */
struct finding_files {
	source_tmpfs_file fn;
	void *ctx;
	uint32_t nr;
};

static int take_entry(void *ctx, const struct dir_entry *entry)
{
	const struct finding_files *finding = ctx;
	char path[300];

	if (!S_ISREG(entry->st.st_mode) || (uint64_t)entry->st.st_size < LARGE_BYTES)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", entry->dir_fd, entry->name);
	return finding->fn(finding->ctx, finding->nr, &entry->st, path);
}

static int cannot_read(const struct mount_entry *mount, struct error *err)
{
	if (errno == ELOOP)
		return error_set(err, CODE_REFUSED, "move them up", "the tmpfs on %s has directories more than %d deep",
				 mount->target, DIR_WALK_DEPTH - 1);
	return error_errno(err, CODE_TARGET, NULL, "cannot read the tmpfs on %s", mount->target);
}

int source_tmpfs_each(const struct source_mounts *mounts, source_tmpfs_file fn, void *ctx, struct error *err)
{
	struct finding_files finding = { .fn = fn, .ctx = ctx };

	for (size_t i = 0; mounts && mounts->tmpfs && i < mounts->list.nr; i++) {
		if (mounts->tmpfs[i] < 0)
			continue;
		if (dir_walk(mounts->tmpfs[i], take_entry, &finding))
			return error_is_set(err) ? -1 : cannot_read(&mounts->list.mounts[i], err);
		finding.nr++;
	}
	return 0;
}
