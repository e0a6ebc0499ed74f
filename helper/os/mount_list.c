// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <libmount.h>
#include <stdlib.h>
#include <string.h>
#include "os/mount_list.h"

/* As "shared:7 master:3". */
static int find_number(const char *fields, const char *name)
{
	const char *at = fields ? strstr(fields, name) : NULL;

	return at ? atoi(at + strlen(name)) : 0;
}

static int add(struct mount_list *list, struct libmnt_fs *fs)
{
	struct mount_entry *mounts = reallocarray(list->mounts, list->nr + 1, sizeof(*mounts)), *to;
	const char *root = mnt_fs_get_root(fs), *target = mnt_fs_get_target(fs);
	const char *type = mnt_fs_get_fstype(fs), *more = mnt_fs_get_optional_fields(fs);
	const char *flags = mnt_fs_get_vfs_options(fs), *options = mnt_fs_get_fs_options(fs);

	if (!mounts)
		return -1;
	list->mounts = mounts;
	to = &mounts[list->nr++];
	*to = (struct mount_entry){
		.dev = mnt_fs_get_devno(fs), .id = mnt_fs_get_id(fs), .parent = mnt_fs_get_parent_id(fs),
		.root = strdup(root ?: "/"), .target = strdup(target ?: "/"),
		.type = strdup(type ?: ""), .flags = strdup(flags ?: ""), .options = strdup(options ?: ""),
		.shared = find_number(more, "shared:"), .master = find_number(more, "master:"),
	};
	return to->root && to->target && to->type && to->flags && to->options ? 0 : -1;
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
		free(list->mounts[i].flags);
		free(list->mounts[i].options);
	}
	free(list->mounts);
	memset(list, 0, sizeof(*list));
}

/* Those of a tmpfs can be changed while it is mounted. */
static bool has_same_options(const struct mount_entry *a, const struct mount_entry *b)
{
	return !strcmp(a->flags ?: "", b->flags ?: "") && !strcmp(a->options ?: "", b->options ?: "");
}

bool mount_list_same(const struct mount_list *a, const struct mount_list *b)
{
	bool same = a->nr == b->nr;

	for (size_t i = 0; same && i < a->nr; i++)
		same = a->mounts[i].dev == b->mounts[i].dev &&
		       a->mounts[i].shared == b->mounts[i].shared &&
		       a->mounts[i].master == b->mounts[i].master &&
		       has_same_options(&a->mounts[i], &b->mounts[i]) &&
		       !strcmp(a->mounts[i].root, b->mounts[i].root) &&
		       !strcmp(a->mounts[i].target, b->mounts[i].target);
	return same;
}

/* The mount on "/" whose parent is not in the list. */
ssize_t mount_list_root(const struct mount_list *list)
{
	for (size_t i = 0; i < list->nr; i++) {
		bool is_root = !strcmp(list->mounts[i].target, "/");

		for (size_t j = 0; j < list->nr && is_root; j++)
			is_root = j == i || list->mounts[j].id != list->mounts[i].parent;
		if (is_root)
			return i;
	}
	return -1;
}

/*
 * The mount point within mount @in that @path reaches first: that mount hides mount points behind it. -1: none.
 * A path begins below what is mounted on "/" itself.
 */
static ssize_t find_next(const struct mount_list *list, ssize_t in, const char *path)
{
	ssize_t next = -1;

	for (size_t i = 0; i < list->nr; i++) {
		const struct mount_entry *mount = &list->mounts[i];

		if ((ssize_t)i == in || mount->parent != list->mounts[in].id ||
		    !strcmp(mount->target, "/") || !path_below(path, mount->target))
			continue;
		if (next < 0 || strlen(mount->target) < strlen(list->mounts[next].target))
			next = i;
	}
	return next;
}

ssize_t mount_list_find(const struct mount_list *list, const char *path, const char **rest)
{
	ssize_t at = mount_list_root(list), next = at;

	/* the kernel makes no circle; a list that was read while mounts moved might */
	for (size_t i = 0; next >= 0 && i < list->nr; i++) {
		at = next;
		next = find_next(list, at, path);
	}
	if (at >= 0)
		*rest = path_below(path, list->mounts[at].target);
	return at;
}

const char *path_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len && dir[len - 1] == '/')
		len--;
	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/') ? path + len : NULL;
}
