// SPDX-License-Identifier: GPL-2.0
#include <libmount.h>
#include <string.h>
#include "os/cgroup_mounts.h"

bool cgroup_list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += len)
		if ((at == list || at[-1] == ',') && (!at[len] || at[len] == ','))
			return true;
	return false;
}

static bool mount_has(struct libmnt_fs *fs, const char *controllers)
{
	const char *type = mnt_fs_get_fstype(fs), *options = mnt_fs_get_fs_options(fs);

	if (!type || !mnt_fs_get_target(fs) || !mnt_fs_get_root(fs))
		return false;
	if (!*controllers)
		return !strcmp(type, "cgroup2");
	return !strcmp(type, "cgroup") && options && cgroup_list_has(options, controllers);
}

bool cgroup_mounts_walk(const char *mountinfo, const char *controllers, cgroup_mount_fn fn,
			void *ctx)
{
	struct libmnt_table *table = mnt_new_table_from_file(mountinfo);
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	bool found = false;

	while (table && iter && !found && !mnt_table_next_fs(table, iter, &fs))
		found = mount_has(fs, controllers) &&
			fn(ctx, mnt_fs_get_target(fs), mnt_fs_get_root(fs));
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return found;
}
