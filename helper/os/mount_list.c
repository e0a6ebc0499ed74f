// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <libmount.h>
#include <stdlib.h>
#include <string.h>
#include "os/mount_list.h"

static int add(struct mount_list *list, struct libmnt_fs *fs)
{
	struct mount_entry *mounts = reallocarray(list->mounts, list->nr + 1, sizeof(*mounts)), *to;
	const char *root = mnt_fs_get_root(fs), *target = mnt_fs_get_target(fs);
	const char *type = mnt_fs_get_fstype(fs), *more = mnt_fs_get_optional_fields(fs);

	if (!mounts)
		return -1;
	list->mounts = mounts;
	to = &mounts[list->nr++];
	*to = (struct mount_entry){
		.dev = mnt_fs_get_devno(fs), .root = strdup(root ?: "/"), .target = strdup(target ?: "/"),
		.type = strdup(type ?: ""),
		.propagates = more && (strstr(more, "shared:") || strstr(more, "master:")),
	};
	return to->root && to->target && to->type ? 0 : -1;
}

int mount_list_read(struct mount_list *list, const char *file, struct error *err)
{
	struct libmnt_table *table = mnt_new_table_from_file(file);
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	int ret = table && iter ? 0 : -1;

	memset(list, 0, sizeof(*list));
	while (!ret && !mnt_table_next_fs(table, iter, &fs))
		ret = add(list, fs);
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return ret ? error_errno(err, CODE_TARGET, NULL, "cannot read %s", file) : 0;
}

void mount_list_free(struct mount_list *list)
{
	for (size_t i = 0; i < list->nr; i++) {
		free(list->mounts[i].root);
		free(list->mounts[i].target);
		free(list->mounts[i].type);
	}
	free(list->mounts);
	memset(list, 0, sizeof(*list));
}

bool mount_list_same(const struct mount_list *a, const struct mount_list *b)
{
	bool same = a->nr == b->nr;

	for (size_t i = 0; same && i < a->nr; i++)
		same = a->mounts[i].dev == b->mounts[i].dev &&
		       !strcmp(a->mounts[i].root, b->mounts[i].root) &&
		       !strcmp(a->mounts[i].target, b->mounts[i].target);
	return same;
}

const char *path_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len && dir[len - 1] == '/')
		len--;
	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/') ? path + len : NULL;
}
